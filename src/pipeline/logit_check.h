// Do two versions of a model say the same? Both run block by block over a few tokens, never whole in memory.
//
// Exact    weights equal: logits equal to the last bit
// Errors   those of reading the checkpoints
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/checkpoint.h"
#include "runtime/layer_weights.h"
#include "sys/thread_pool.h"
#include "transform/transform.h"

namespace quernel::pipeline {

// Puts other weights in the place of a layer's, once it is loaded; may be empty.
using LayerChange = std::function<Status(runtime::LayerWeights& weights)>;

struct LogitDifference {
  double max_abs = 0.0;        // over all positions and tokens
  double reference_rms = 0.0;  // deviation of the reference's logits: what max_abs is to be seen against
};

// On 128 tokens drawn from the reference's vocabulary.
Result<LogitDifference> compare_logits(const model::Checkpoint& reference, const LayerChange& change_reference,
                                       const model::Checkpoint& other, sys::ThreadPool& pool);

// One side of the comparison below: a checkpoint as it is, or with a change made in memory, before any rounding.
struct ChangedModel {
  const model::Checkpoint& checkpoint;
  const transform::ModelChange* change = nullptr;
};

// On these windows of token ids, each a sequence of its own.
Result<LogitDifference> compare_logits(const ChangedModel& reference, const ChangedModel& other,
                                       const std::vector<std::vector<std::int32_t>>& windows, sys::ThreadPool& pool);

// Drawn tokens, the same as above: for models without calibration text.
std::vector<std::int32_t> check_tokens(std::int64_t vocab_size);

}  // namespace quernel::pipeline
