// A whole model in the integer runtime: tokens in, logits out.
//
// Computes what runtime/simulated describes for FloatModel, over packed weights, INT8 activations and a paged cache; the head reads activations
//          in two parts. Differences to the simulation are those of the order of float sums, of two-part queries and weights in attention
//          (2^-15 of their largest), and of dense modules packed in 8 bits
// Exact    a token's result depends on its sequence and position alone, bit for bit: not on what it is batched with, on how its prompt was cut
//          into passes, or on the number of threads. x86 levels from AVX2 on give the same bits
// Errors   load: those of the checkpoint and of packing; out_of_memory with the numbers where weights would not fit
// Threads  one thread at a time; work inside is spread over the pool
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/engine_options.h"
#include "engine/pass_model.h"
#include "model/checkpoint.h"
#include "runtime/top_tokens.h"
#include "sys/thread_pool.h"
#include "tensor/matrix.h"

namespace quernel::engine {

class PassProfile;

class IntModel {
 public:
  static Result<IntModel> load(const model::Checkpoint& checkpoint, sys::ThreadPool& pool,
                               const EngineOptions& options);
  ~IntModel();
  IntModel(IntModel&&) noexcept;
  IntModel& operator=(IntModel&&) noexcept;

  [[nodiscard]] const model::ModelConfig& config() const;
  [[nodiscard]] const EngineOptions& options() const;
  [[nodiscard]] int activation_bits() const;  // what 0 among the options came to: 8 where any weight was made for it
  [[nodiscard]] PagedCache make_cache() const;
  [[nodiscard]] const PagePool& pages() const;
  [[nodiscard]] const std::string& load_note() const;  // about the packed cache, for the user; empty: nothing to say
  [[nodiscard]] std::uint64_t weight_bytes() const;    // packed; all are read for a token
  [[nodiscard]] std::int64_t num_weights() const;      // that a token is multiplied with

  // Runs the tokens of all spans, which `tokens` lists one span after another; caches grow by them. hidden [tokens, hidden_size] receives the
  // output of the last block. Errors: invalid_argument (token ids), limit_exceeded (cache; nothing has changed then).
  Status forward(std::span<const std::int32_t> tokens, std::span<const Span> spans, MatrixView hidden);
  // logits [rows, vocab] of some rows of hidden, with scale and soft cap.
  void logits(ConstMatrixView hidden, MatrixView out);
  // out [rows]: the `most` best tokens of each row by these logits, which are nowhere written as a whole.
  void top_tokens(ConstMatrixView hidden, std::int64_t most, std::span<runtime::TopTokens> out);
  // Passes from now on add their times; null: none.
  void set_profile(PassProfile* profile);

 private:
  struct State;
  explicit IntModel(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace quernel::engine
