// Building blocks of the split rules: runs, optional characters, white space.
#pragma once

#include "text/split_rules.h"
#include "text/unicode_classes.h"

namespace quernel::text {

// One end of the text and the table, so that matchers read like their expressions.
class Matcher {
 public:
  explicit Matcher(const char* end) : table_(CharTable::get()), end_(end) {}

  [[nodiscard]] bool at_end(const char* at) const { return at >= end_; }
  [[nodiscard]] Char get(const char* at) const { return char_at(table_, at, end_); }
  [[nodiscard]] bool is(const char* at, CharKinds set) const { return at < end_ && get(at).is(set); }
  [[nodiscard]] bool is_not(const char* at, CharKinds set) const { return at < end_ && !get(at).is(set); }

  // End of the run of characters of (not of) the set, at most `most` of them.
  [[nodiscard]] const char* run(const char* at, CharKinds set, int most = -1) const {
    while (at < end_ && most-- != 0) {
      const Char here = get(at);
      if (!here.is(set)) break;
      at += here.length;
    }
    return at;
  }
  [[nodiscard]] const char* run_not(const char* at, CharKinds set) const {
    while (at < end_) {
      const Char here = get(at);
      if (here.is(set)) break;
      at += here.length;
    }
    return at;
  }

  // \s*[\r\n]+ | \s+(?!\S) | \s+ ; at stands on white space.
  [[nodiscard]] const char* space_with_newlines(const char* at) const;
  // \s+(?!\S) | \s+
  [[nodiscard]] const char* space(const char* at) const;
  // 's|'t|'re|'ve|'m|'ll|'d ; `at` if there is none. Fold also takes capitals and U+017F for s.
  [[nodiscard]] const char* contraction(const char* at, bool fold) const;

  [[nodiscard]] const char* end() const { return end_; }

 private:
  const CharTable& table_;
  const char* end_;
};

Match find_gpt2(const char* at, const char* end);
Match find_llama3(const char* at, const char* end);
Match find_qwen2(const char* at, const char* end);
Match find_tekken(const char* at, const char* end);
Match find_o200k(const char* at, const char* end);
Match find_deepseek_v3(const char* at, const char* end);

}  // namespace quernel::text
