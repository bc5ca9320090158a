// What judging a model needs of it, by whichever runtime: whole sequences in, hidden states and logits out.
//
// Exact    results do not depend on threads; on what a sequence is computed beside, at most by the rounding of sums
// Threads  one thread at a time; work inside is spread over the model's pool
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "model/config.h"
#include "tensor/matrix.h"

namespace quernel::runtime {

class LanguageModel {
 public:
  virtual ~LanguageModel() = default;
  [[nodiscard]] virtual const model::ModelConfig& config() const = 0;
  // Sequences from their first token on, which `tokens` lists one after another; nothing of them is kept. hidden
  // [tokens, hidden_size] receives the output of the last block, before the final norm. Errors: invalid_argument for a
  // token id outside the vocabulary, a sequence longer than positions go; what keeps keys and values in memory of a
  // fixed size may add limit_exceeded.
  virtual Status run_sequences(std::span<const std::int32_t> tokens, std::span<const std::int64_t> lengths,
                               MatrixView hidden) const = 0;
  // logits [rows, vocab_size] of some rows of hidden, with final norm, scale and soft cap.
  virtual void logits(ConstMatrixView hidden, MatrixView out) const = 0;
};

}  // namespace quernel::runtime
