// From logits to the next token.
//
// Order    logit bias; repetition, presence and frequency penalties; DRY; temperature; top-k; top-p; min-p; then one draw. Temperature 0 takes
//          the largest logit
// Exact    a token depends on seed, options, logits, context and its position (the context's length) alone, not on what was drawn before: a
//          position can be sampled again, or ahead. Ties go to the lowest id
// Errors   make: invalid_argument for options outside their range
// Threads  one thread at a time
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "runtime/penalties.h"
#include "runtime/top_tokens.h"

namespace quernel::runtime {

struct SamplerOptions {
  double temperature = 0.0;         // 0: greedy
  std::int64_t top_k = 0;           // 0: all
  double top_p = 1.0;               // (0, 1]: smallest set of likeliest tokens that holds this much
  double min_p = 0.0;               // [0, 1]: at least this share of the likeliest token's probability
  double repetition_penalty = 1.0;  // runtime/penalties.h says what each does
  double presence_penalty = 0.0;
  double frequency_penalty = 0.0;
  std::int64_t repetition_window = 0;  // last tokens that count as seen, for these three; 0: all
  DryOptions dry = DryOptions();
  std::vector<LogitBias> logit_bias{};
  std::uint64_t seed = 0;
};

class Sampler {
 public:
  static Result<Sampler> make(const SamplerOptions& options);

  // logits [vocab]; context: prompt and generated tokens so far.
  std::int32_t sample(std::span<const float> logits, std::span<const std::int32_t> context);
  // How many of the best tokens say as much as all logits: 1 where it is greedy, top_k; 0: all are needed.
  [[nodiscard]] std::int64_t num_needed() const;
  // The same token from the best num_needed() or more of them.
  std::int32_t sample_top(std::span<const TopToken> best, std::span<const std::int32_t> context);

 private:
  explicit Sampler(SamplerOptions options);
  [[nodiscard]] bool moves_logits() const;
  std::span<const float> moved(std::span<const float> logits, std::span<const std::int32_t> context);
  std::int32_t draw(std::span<const float> logits, double chance);
  std::int32_t pick(std::span<const float> logits, double target, std::size_t num_kept);
  [[nodiscard]] double weight(float logit) const;
  bool has_rank(std::span<const float> logits, std::size_t rank);
  void rank_band(std::span<const float> logits);

  SamplerOptions options_;
  std::vector<float> logits_;     // moved copy
  std::vector<TopToken> ranked_;  // of the draw: likeliest first, as far as was asked
  float largest_ = 0.0F;          // logit
  float ranked_to_ = 0.0F;        // logits above this are ranked
  double band_ = 0.0;             // temperatures that the next band is wide
};

// Index of the largest value, the lowest of equals; NaN never wins. values is not empty.
std::int32_t argmax(std::span<const float> values);

}  // namespace quernel::runtime
