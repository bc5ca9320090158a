// All packed weights of a model: what is computed once from a checkpoint, and what engine/packed_file keeps on disk.
//
// Memory   one arena for all, so that huge pages are full; pages of the checkpoint that were read are released
// Errors   those of the checkpoint and of packing; out_of_memory with the numbers, before anything is read, where weights would not fit
// Threads  packing is spread over the pool
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/packed_linear.h"
#include "model/checkpoint.h"
#include "model/modules.h"
#include "runtime/layer_weights.h"
#include "sys/thread_pool.h"

namespace quernel::engine {

struct Layer : runtime::LayerNorms {
  std::vector<PackedLinear> linears;         // one for each module of the checkpoint
  std::vector<model::LinearModule> modules;  // what they are
};

struct ModelWeights {
  std::vector<Layer> layers;
  std::vector<float> final_norm;  // [hidden]
  PackedLinear head;              // [vocab, hidden]

  [[nodiscard]] std::uint64_t bytes() const;               // packed; all are read for a token
  [[nodiscard]] std::int64_t num_weights() const;          // that a token is multiplied with
  [[nodiscard]] std::uint64_t most_scratch_bytes() const;  // a product may need (kernels/packed)
};

// Norms and modules, as packing and reading a packed file both begin; linears are empty.
Result<ModelWeights> load_frame(const model::Checkpoint& checkpoint);
Result<ModelWeights> pack_weights(const model::Checkpoint& checkpoint, sys::ThreadPool& pool);

}  // namespace quernel::engine
