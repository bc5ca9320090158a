// Keys and values of one sequence, for every layer of a model.
//
// Layout   per layer and key/value head one matrix [max_tokens, head_dim], row = position; keys are stored after RoPE
// Units    positions count from 0; bytes() is what is reserved (pages are touched only as positions are written)
// Errors   make: limit_exceeded where the size does not fit; everything else is checked (the model refuses first)
// Threads  reading from any thread; writing and set_length by one thread at a time
#pragma once

#include <cstdint>

#include "base/result.h"
#include "model/config.h"
#include "tensor/matrix.h"

namespace quernel::runtime {

class KvCache {
 public:
  KvCache() = default;  // holds nothing
  static Result<KvCache> make(const model::ModelConfig& config, std::int64_t max_tokens);

  [[nodiscard]] std::int64_t max_tokens() const { return max_tokens_; }
  [[nodiscard]] std::int64_t length() const { return length_; }  // tokens held by every layer
  [[nodiscard]] std::uint64_t bytes() const;

  // Forgets all tokens from `length` on; 0 empties. After a forward pass the model sets it to the new end.
  void set_length(std::int64_t length);
  void reset() { set_length(0); }
  // The same tokens in memory of their own: a shared prefix continued twice.
  [[nodiscard]] KvCache clone() const;

  // All positions of one head; rows at and after length() are not yet written. [max_tokens, head_dim]
  [[nodiscard]] MatrixView keys(std::int64_t layer, std::int64_t kv_head);
  [[nodiscard]] MatrixView values(std::int64_t layer, std::int64_t kv_head);
  [[nodiscard]] ConstMatrixView keys(std::int64_t layer, std::int64_t kv_head) const;
  [[nodiscard]] ConstMatrixView values(std::int64_t layer, std::int64_t kv_head) const;

 private:
  [[nodiscard]] std::int64_t offset(std::int64_t layer, std::int64_t kv_head, bool value) const;

  std::int64_t num_layers_ = 0;
  std::int64_t num_kv_heads_ = 0;
  std::int64_t head_dim_ = 0;
  std::int64_t max_tokens_ = 0;
  std::int64_t length_ = 0;
  Matrix data_;  // [layers * 2 * kv_heads * max_tokens, head_dim]: all keys of a layer, then its values
};

}  // namespace quernel::runtime
