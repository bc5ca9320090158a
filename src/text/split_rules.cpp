#include "text/split_rules.h"

#include <algorithm>
#include <bitset>
#include <utility>
#include <vector>

#include "text/split_match.h"

namespace quernel::text {
namespace {

constexpr std::string_view kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kO200k =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kDeepseekV3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|)"
    R"( ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// Cased letters by script, written out by the publisher.
constexpr std::string_view kCased =
    "A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF\u0370-"
    "\u0373\u0376\u0377"
    "\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F\u0531-\u0556"
    "\u10A0-\u10C5\u13A0-\u13F5\u13F8-\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77\u1D79-\u1D9A"
    "\u1E00-\u1F15\u1F18-\u1F1D\u1F20-\u1F45\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B\u1F5D\u1F5F-\u1F7D\u1F80-\u1FB4"
    "\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-\u1FDB\u1FE0-\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC"
    "\u2102\u2107\u210A-\u2113\u2115\u2119-\u211D\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139\u213C-\u213F"
    "\u2145-\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4\u2CEB-\u2CEE\u2CF2\u2CF3\uA640-\uA66D\uA680-\uA69B"
    "\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E\uAB70-\uABBF\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A"
    "\U00010400-\U0001044F\U000104B0-\U000104D3\U000104D8-\U000104FB\U00010C80-\U00010CB2\U00010CC0-\U00010CF2"
    "\U000118A0-\U000118DF\U0001E900-\U0001E943";
constexpr std::string_view kMarks = "!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002";
constexpr std::string_view kCjkHangul = "\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF";
constexpr std::string_view kCjkKana = "\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF";

// The characters of a bracket expression of plain characters and ranges.
class CharSet {
 public:
  explicit CharSet(std::string_view members) {
    const char* at = members.data();
    const char* end = at + members.size();
    while (at < end) {
      const Decoded first = decode_utf8(at, end);
      at += first.length;
      std::uint32_t last = first.code;
      if (end - at > 1 && *at == '-') {
        const Decoded second = decode_utf8(at + 1, end);
        last = second.code;
        at += 1 + second.length;
      }
      ranges_.emplace_back(first.code, last);
    }
    std::sort(ranges_.begin(), ranges_.end());
    for (std::uint32_t code = 0; code < ascii_.size(); ++code) ascii_[code] = search(code);
  }
  [[nodiscard]] bool has(std::uint32_t code) const { return code < ascii_.size() ? ascii_[code] : search(code); }

 private:
  [[nodiscard]] bool search(std::uint32_t code) const {
    const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), std::pair{code, kInvalidCodePoint});
    return after != ranges_.begin() && std::prev(after)->second >= code && code <= 0x10FFFF;
  }
  std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges_;  // first, last
  std::bitset<128> ascii_;
};

const char* run_of(const CharSet& set, const char* at, const char* end) {
  while (at < end) {
    const Decoded here = decode_utf8(at, end);
    if (!set.has(here.code)) break;
    at += here.length;
  }
  return at;
}

// [set]+ , or \s?[set]+
Match find_run(const CharSet& set, bool space_before, const char* at, const char* end) {
  const Matcher m(end);
  while (at < end) {
    const Char first = m.get(at);
    if (space_before && first.is(kSpace)) {
      const char* core = at + first.length;
      if (const char* stop = run_of(set, core, end); stop != core) return {at, stop};
    }
    if (const char* stop = run_of(set, at, end); stop != at) return {at, stop};
    at += first.length;
  }
  return {};
}

// \s?[kinds]+ , or without the \s? ; at most `most` characters of the kinds
Match find_kinds(CharKinds kinds, bool space_before, int most, const char* at, const char* end) {
  const Matcher m(end);
  while (at < end) {
    const Char first = m.get(at);
    const char* core = space_before && first.is(kSpace) ? at + first.length : at;
    if (const char* stop = m.run(core, kinds, most); stop != core) return {at, stop};
    at += first.length;
  }
  return {};
}

Match find_newline(const char* at, const char* end) { return find_kinds(kNewline, false, 1, at, end); }
Match find_spaced_letters(const char* at, const char* end) { return find_kinds(kLetter, true, -1, at, end); }
Match find_spaced_punctuation(const char* at, const char* end) { return find_kinds(kPunctuation, true, -1, at, end); }
Match find_number(const char* at, const char* end) { return find_kinds(kNumber, false, 1, at, end); }
Match find_numbers(const char* at, const char* end) { return find_kinds(kNumber, false, -1, at, end); }
Match find_three_numbers(const char* at, const char* end) { return find_kinds(kNumber, false, 3, at, end); }

Match find_spaced_cased(const char* at, const char* end) {
  static const CharSet set(kCased);
  return find_run(set, true, at, end);
}
Match find_spaced_marks(const char* at, const char* end) {
  static const CharSet set(kMarks);
  return find_run(set, true, at, end);
}
Match find_cjk_hangul(const char* at, const char* end) {
  static const CharSet set(kCjkHangul);
  return find_run(set, false, at, end);
}
Match find_cjk_kana(const char* at, const char* end) {
  static const CharSet set(kCjkKana);
  return find_run(set, false, at, end);
}

// \s+$ : $ stands before each LF and at the end.
Match find_trailing_space(const char* at, const char* end) {
  const Matcher m(end);
  while (at < end) {
    const char* begin = m.run_not(at, kSpace);
    const char* stop = nullptr;
    const char* next = begin;
    while (m.is(next, kSpace)) {
      next += m.get(next).length;
      if (next == end || *next == '\n') stop = next;
    }
    if (stop != nullptr) return {begin, stop};
    at = next;
  }
  return {};
}

std::string bracketed(std::string_view before, std::string_view members) {
  return std::string(before) + "[" + std::string(members) + "]+";
}

std::string escape_newlines(std::string_view pattern) {
  std::string out;
  for (const char c : pattern) {
    if (c == '\r') {
      out += "\\r";
    } else if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::span<const SplitRule> split_rules() {
  static const std::string spaced_cased = bracketed(R"(\s?)", kCased);
  static const std::string spaced_marks = bracketed(R"(\s?)", kMarks);
  static const std::string cjk_hangul = bracketed("", kCjkHangul);
  static const std::string cjk_kana = bracketed("", kCjkKana);
  static const SplitRule rules[] = {
      {"gpt2", kGpt2, find_gpt2},
      {"llama3", kLlama3, find_llama3},
      {"qwen2", kQwen2, find_qwen2},
      {"tekken", kTekken, find_tekken},
      {"o200k", kO200k, find_o200k},
      {"deepseek-v3", kDeepseekV3, find_deepseek_v3},
      {"newline", R"([\r\n])", find_newline},
      {"spaced-letters", R"(\s?\p{L}+)", find_spaced_letters},
      {"spaced-punctuation", R"(\s?\p{P}+)", find_spaced_punctuation},
      {"spaced-cased", spaced_cased, find_spaced_cased},
      {"spaced-marks", spaced_marks, find_spaced_marks},
      {"trailing-space", R"(\s+$)", find_trailing_space},
      {"cjk-hangul", cjk_hangul, find_cjk_hangul},
      {"cjk-kana", cjk_kana, find_cjk_kana},
      {"number", R"(\p{N})", find_number},
      {"numbers", R"(\p{N}+)", find_numbers},
      {"three-numbers", R"(\p{N}{1,3})", find_three_numbers},
  };
  return rules;
}

const SplitRule* find_split_rule(std::string_view pattern) {
  const std::string escaped = escape_newlines(pattern);
  for (const SplitRule& rule : split_rules()) {
    if (rule.pattern == escaped) return &rule;
  }
  return nullptr;
}

const SplitRule* find_split_rule_by_name(std::string_view name) {
  for (const SplitRule& rule : split_rules()) {
    if (rule.name == name) return &rule;
  }
  return nullptr;
}

std::string known_split_rules() {
  std::string out;
  for (const SplitRule& rule : split_rules()) out += (out.empty() ? "" : ", ") + std::string(rule.name);
  return out;
}

Match find_digit(const char* at, const char* end) { return find_kinds(kNumeric, false, 1, at, end); }
Match find_digits(const char* at, const char* end) { return find_kinds(kNumeric, false, -1, at, end); }

}  // namespace quernel::text
