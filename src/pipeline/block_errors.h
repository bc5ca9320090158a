// How far the blocks of quantized models are from those of their source, each block by itself.
//
// The source runs over the windows, and every block of every candidate is fed with what the source's block was fed with: an error
// is that block's own, without what the blocks before it did. Candidates must have the source's residual stream (transform/transform.h,
// keeps_stream).
//
// Formula  mean over tokens of |y - y_ref|^2 / |y_ref|^2, y the residual stream behind the block: what the next norm will see of it.
//          Not the ratio of sums, in which the few tokens with very large states would count for all
// Exact    the same bytes for any number of threads; fp32 products
// Memory   the stream of all windows, one block of source and of each candidate
// Errors   those of reading the checkpoints; invalid_argument for a token outside the vocabulary; interrupted
// Threads  one thread at a time; work inside is spread over the pool
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "model/checkpoint.h"
#include "runtime/simulated.h"
#include "sys/progress.h"
#include "sys/thread_pool.h"

namespace quernel::pipeline {

struct BlockErrorInput {
  const model::Checkpoint& source;
  const std::vector<const model::Checkpoint*>& candidates;
  const std::vector<std::vector<std::int32_t>>& windows;  // token ids, each window a sequence of its own
  runtime::SimulatedBits simulated{};                     // of the candidates; the source is not rounded
  sys::ThreadPool& pool;
  sys::ProgressSink& progress;
};

// [num_layers][candidates]
using BlockErrors = std::vector<std::vector<double>>;
Result<BlockErrors> measure_block_errors(const BlockErrorInput& input);

}  // namespace quernel::pipeline
