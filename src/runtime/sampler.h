// From logits to the next token.
//
// Order    repetition penalty, temperature, top-k, top-p, min-p, then one draw; temperature 0 takes the largest logit
// Exact    the same seed, options and logits give the same token; ties go to the lowest id
// Errors   make: invalid_argument for options outside their range
// Threads  one thread at a time
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/rng.h"

namespace quernel::runtime {

struct SamplerOptions {
  double temperature = 0.0;         // 0: greedy
  std::int64_t top_k = 0;           // 0: all
  double top_p = 1.0;               // (0, 1]: smallest set of likeliest tokens that holds this much
  double min_p = 0.0;               // [0, 1]: at least this share of the likeliest token's probability
  double repetition_penalty = 1.0;  // > 0: positive logits of seen tokens are divided by it, negative ones multiplied
  std::int64_t repetition_window = 0;  // last tokens that count as seen; 0: all
  std::uint64_t seed = 0;
};

class Sampler {
 public:
  static Result<Sampler> make(const SamplerOptions& options);

  // logits [vocab]; context: prompt and generated tokens so far, for the repetition penalty.
  std::int32_t sample(std::span<const float> logits, std::span<const std::int32_t> context);

 private:
  struct Candidate {
    double value;
    std::int32_t id;
  };
  explicit Sampler(const SamplerOptions& options);
  void penalize(std::span<const std::int32_t> context);
  std::int32_t draw();

  SamplerOptions options_;
  CounterRng rng_;
  std::vector<float> logits_;          // penalized copy
  std::vector<Candidate> candidates_;  // likeliest first
};

// Index of the largest value, the lowest of equals; NaN never wins. values is not empty.
std::int32_t argmax(std::span<const float> values);

}  // namespace quernel::runtime
