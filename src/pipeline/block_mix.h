// A model whose blocks come from several quantized checkpoints of one source: as input for the writers, and as layers to run.
//
// A block is taken whole: codes, scales and zero points of its modules, biases, norms, modules that stay dense. Embedding, last
// norm and head are the source's. The checkpoints must have the source's residual stream (transform/transform.h, keeps_stream) and
// the same modules quantized on the same grid.
//
// Exact    what is written of a block is bit for bit what its checkpoint holds
// Errors   those of reading; unsupported: a dense tensor of a block whose type or shape is not the source's
// Threads  one thread at a time
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "export/hf_checkpoint.h"
#include "model/checkpoint.h"
#include "model/quantized_model.h"
#include "pipeline/logit_check.h"
#include "sys/thread_pool.h"

namespace quernel::pipeline {

// By layer: the index of the candidate with the least error; of equals the first.
std::vector<std::size_t> least_of(const std::vector<std::vector<double>>& errors);

class BlockMix {
 public:
  // taken [num_layers]: index into parts. Source and parts outlive the mix, and the mix outlives what input() gives.
  BlockMix(const model::Checkpoint& source, std::vector<const model::Checkpoint*> parts, std::vector<std::size_t> taken,
           const model::QuantizationInfo& info);

  // modules: names of the quantized ones.
  [[nodiscard]] exporting::ExportInput input(std::vector<std::string> modules) const;
  // Logits of a written mix against those of the same blocks loaded from their own checkpoints, the ends as written.
  [[nodiscard]] Result<LogitDifference> compare_logits(const std::string& folder, sys::ThreadPool& pool) const;

 private:
  [[nodiscard]] const model::Checkpoint* part_of(std::int64_t layer) const;
  [[nodiscard]] const model::Checkpoint* origin_of(const std::string& tensor) const;  // null: the source
  [[nodiscard]] Result<exporting::MatrixPointer> read(const std::string& module) const;

  const model::Checkpoint& source_;
  std::vector<const model::Checkpoint*> parts_;
  std::vector<std::size_t> taken_;
  model::QuantizationInfo info_;
  std::map<std::string, std::int64_t> layer_of_;  // every tensor of the blocks, as of a dense model
};

}  // namespace quernel::pipeline
