// What moves logits before a token is chosen: bias by hand, and penalties on what was said before.
//
// Formulas  repetition: positive logits of seen tokens are divided, negative ones multiplied. presence: subtracted once from a seen token,
//           frequency: once for each time it was seen. DRY: a token that would make the end of the text repeat an earlier stretch of n + 1
//           tokens loses multiplier * base^(n - allowed_length), where n >= allowed_length
// Seen      tokens of the window, prompt included; ids outside the vocabulary are passed over
// Source    DRY: p-e-w's description (oobabooga/text-generation-webui pull request 5677), which llama.cpp follows as well
// Errors    check_*: invalid_argument with the option's name
// Cost      n log n of the window for what was seen, linear in the range for DRY
// Threads   pure functions
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace quernel::runtime {

struct LogitBias {
  std::int32_t id = 0;
  double value = 0.0;  // added; minus infinity: never chosen
};

struct SeenPenalties {
  double repetition = 1.0;  // above 0
  double presence = 0.0;    // any finite number; below 0: encourages
  double frequency = 0.0;   // likewise
  std::int64_t window = 0;  // last tokens that count as seen; 0: all
};

struct DryOptions {
  double multiplier = 0.0;               // 0 or more; 0: off
  double base = 1.75;                    // 1 or more
  std::int64_t allowed_length = 2;       // 1 or more: repeated stretches up to this long are free
  std::int64_t range = 0;                // last tokens that are searched; 0: all
  std::vector<std::int32_t> breakers{};  // a stretch does not reach across these; they are never penalized
};

// An Error in_field(name) unless `fits`.
Status check_option(const char* name, double value, bool fits, const char* expected);
Status check_bias(std::span<const LogitBias> biases);
Status check_penalties(const SeenPenalties& penalties);
Status check_dry(const DryOptions& options);

void add_bias(std::span<const LogitBias> biases, std::span<float> logits);
void penalize_seen(const SeenPenalties& penalties, std::span<const std::int32_t> context, std::span<float> logits);
void penalize_repeats(const DryOptions& options, std::span<const std::int32_t> context, std::span<float> logits);

}  // namespace quernel::runtime
