// The regular expressions that published tokenizers cut text with, as hand-written matchers.
//
// Exact    what Oniguruma (Ruby syntax) finds for the expression, character by character; a byte that is not UTF-8 is a
//          character of no kind: [^...] matches it, nothing else does
// Cost     linear in the text
// Threads  pure functions
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace quernel::text {

struct Match {
  const char* begin = nullptr;
  const char* end = nullptr;  // begin == end: nothing found; matches are never empty
  [[nodiscard]] bool found() const { return begin != end; }
};

struct SplitRule {
  std::string_view name;
  std::string_view pattern;                        // as written in tokenizer.json; CR and LF in escaped form
  Match (*find)(const char* at, const char* end);  // the next match in [at, end), which looks at nothing before `at`
};

// All rules, in the order of documentation.
std::span<const SplitRule> split_rules();
// The rule of a pattern, or nothing. CR and LF may stand in the pattern as themselves or escaped.
const SplitRule* find_split_rule(std::string_view pattern);
const SplitRule* find_split_rule_by_name(std::string_view name);
std::string known_split_rules();  // "gpt2, llama3, ..." for messages

// Unicode numbers, one by one or in runs: the Digits step.
Match find_digit(const char* at, const char* end);
Match find_digits(const char* at, const char* end);

}  // namespace quernel::text
