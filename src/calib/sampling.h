// Which pieces of the tokenized text calibration looks at.
//
// Layout   `count` windows of `length` tokens, in text order, never overlapping
// random   every placement of that many windows that do not overlap is equally likely; drawn from (seed, "calibration
//          windows")
// first    consecutive windows from the start of the text: the way of scripts that published figures, for comparison
// held out windows of the same length between those of calibration, for judging: drawn from (seed, "held-out windows"); as many
//          as the gaps hold, at most what was asked for
// BOS      where the model wants one, each window is BOS and length - 1 tokens of text
// Errors   invalid_argument: no windows or no length asked for, or a text shorter than that, with the tokens needed
// Threads  pure functions
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace quernel::calib {

enum class SampleMode { random, first };

struct SamplingOptions {
  std::int64_t count = 128;
  std::int64_t length = 512;
  std::uint64_t seed = 42;
  SampleMode mode = SampleMode::random;
  std::int64_t held_out = 0;  // windows for judging
  bool allow_fewer = false;   // a short text gives fewer windows, at least one; the caller tells the user
  std::optional<std::int32_t> bos;
};

struct CalibrationSamples {
  std::vector<std::vector<std::int32_t>> windows;   // each of `length` tokens
  std::vector<std::vector<std::int32_t>> held_out;  // of the same length; no token of them is in `windows`
  std::int64_t length = 0;
  std::int64_t requested = 0;    // windows asked for; more than windows.size() only with allow_fewer
  std::int64_t text_tokens = 0;  // of the whole text
  std::string sha256;            // of all ids as little-endian int32, window after window of `windows`

  [[nodiscard]] std::int64_t count() const { return static_cast<std::int64_t>(windows.size()); }
  [[nodiscard]] std::int64_t num_tokens() const { return count() * length; }
};

Result<CalibrationSamples> sample_windows(std::span<const std::int32_t> text_tokens, const SamplingOptions& options);

// Tokenizes the whole text once (no special tokens added) and samples; BOS from the vocabulary where it says add_bos.
Result<CalibrationSamples> sample_text(const text::Tokenizer& tokenizer, std::string_view text,
                                       SamplingOptions options);

const char* to_string(SampleMode mode);
Result<SampleMode> parse_sample_mode(const std::string& name);

}  // namespace quernel::calib
