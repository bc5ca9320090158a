// The embedding table as it lies in the model's file, mapped: a token's row is decoded when it is asked for. Nothing of it is resident but
// rows that were used.
//
// Shapes   [vocab, hidden]; times the architecture's embedding scale
// Types    whatever a checkpoint holds in place, GGUF blocks among them; a quantized module's is decoded once, to floats
// Errors   open: those of the checkpoint; corrupt: another shape
// Threads  const functions from any thread; the checkpoint must outlive it
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/result.h"
#include "model/checkpoint.h"
#include "runtime/layer_weights.h"

namespace quernel::engine {

class Embedding {
 public:
  static Result<Embedding> open(const model::Checkpoint& checkpoint);
  // row [hidden] of a valid token.
  void read(std::int32_t token, std::span<float> row) const;

 private:
  std::optional<TensorView> plain_;  // one of the three
  std::optional<model::StoredBlocks> blocks_;
  Matrix decoded_;
  float scale_ = 1.0F;
};

}  // namespace quernel::engine
