// Which tokens a perplexity is measured on. The two common conventions give different numbers on the same text.
//
// gptq       rows (lines, each with its line break; a blank one as the empty string) joined by two newlines, as scripts
//            of the GPTQ papers do with the data set's rows; windows of 2048 that do not overlap; every position but
//            the first is scored; the rest of the text that fills no window is dropped
// llama_cpp  the text as it is; windows of 512; positions ctx/2 .. ctx-2 predict the token after them (255 a window)
// BOS        where the vocabulary says add_bos: gptq: once before the text; llama_cpp: in place of each window's first
//            token
// Errors     invalid_argument: context too small or too large, text too short (tokens needed and found)
// Threads    pure functions
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace quernel::eval {

enum class Convention { gptq, llama_cpp };

const char* to_string(Convention convention);  // "gptq", "llama.cpp"
Result<Convention> parse_convention(const std::string& name);
std::int64_t default_context(Convention convention);  // 2048, 512

// The text as the convention tokenizes it.
std::string prepare_text(Convention convention, std::string_view text);
// prepare_text, then encode with the special tokens that the vocabulary adds.
std::vector<std::int32_t> tokenize(Convention convention, const text::Tokenizer& tokenizer, std::string_view text);

// Windows over a token sequence. A position p of a window is scored by its logits against token p + 1 of the window.
struct WindowPlan {
  std::int64_t context = 0;
  std::int64_t count = 0;
  std::int64_t first_scored = 0;       // position
  std::int64_t scored_per_window = 0;  // context - 1 - first_scored
  std::optional<std::int32_t> bos;     // replaces the first token of each window

  [[nodiscard]] std::int64_t num_scored() const { return count * scored_per_window; }
};

// context 0: the convention's own; max_windows 0: all that the text fills.
Result<WindowPlan> plan_windows(Convention convention, std::int64_t num_tokens, std::int64_t context,
                                std::int64_t max_windows, std::optional<std::int32_t> bos);

// The tokens of window `index`.
std::vector<std::int32_t> window_tokens(const WindowPlan& plan, std::span<const std::int32_t> tokens,
                                        std::int64_t index);

// SHA-256 over all windows of the plan, as little-endian int32: what was measured on.
std::string hash_windows(const WindowPlan& plan, std::span<const std::int32_t> tokens);

}  // namespace quernel::eval
