// Regular expressions of tokenizer files that have no hand-written matcher: PCRE2 with Unicode properties.
//
// Exact    Oniguruma's meaning for what both have: literals, classes, \p{..}, \s \w \d, groups, look-arounds,
//          quantifiers; ^ and $ at line breaks, as in Ruby. Unicode 14 of PCRE2 10.42: newer characters differ.
// Errors   unsupported, with the position: set intersections (&&), sets in sets, \b \h \R \X and
//          a few more, a pattern that PCRE2 does not take
// Limits   backtracking and memory; a search that passes them finds nothing
// Threads  const functions from any thread
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "text/split_rules.h"

namespace quernel::text {

class Regex {
 public:
  static Result<Regex> compile(const std::string& pattern);

  // The next match that is not empty in text, from `at` on; what stands before `at` can be looked at.
  [[nodiscard]] Match find(std::string_view text, const char* at) const;

 private:
  struct Code;
  explicit Regex(std::shared_ptr<const Code> code) : code_(std::move(code)) {}
  std::shared_ptr<const Code> code_;
};

}  // namespace quernel::text
