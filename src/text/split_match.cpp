#include "text/split_match.h"

namespace quernel::text {
namespace {

// A run of white space up to `end`: its last character stays for what follows, unless the text ends or it is the only
// one.
const char* without_last(const char* at, const char* last, const char* end, const char* text_end) {
  return end == text_end || last == at ? end : last;
}

}  // namespace

const char* Matcher::space(const char* at) const {
  const char* last = at;
  const char* next = at;
  while (next < end_) {
    const Char here = get(next);
    if (!here.is(kSpace)) break;
    last = next;
    next += here.length;
  }
  return without_last(at, last, next, end_);
}

const char* Matcher::space_with_newlines(const char* at) const {
  const char* last = at;
  const char* next = at;
  const char* after_newline = nullptr;
  while (next < end_) {
    const Char here = get(next);
    if (!here.is(kSpace)) break;
    last = next;
    next += here.length;
    if (here.is(kNewline)) after_newline = next;
  }
  return after_newline != nullptr ? after_newline : without_last(at, last, next, end_);
}

const char* Matcher::contraction(const char* at, bool fold) const {
  if (end_ - at < 2 || *at != '\'') return at;
  const auto letter = [this, at, fold](std::ptrdiff_t i) {
    if (end_ - at <= i) return '\0';
    const char c = at[i];
    return fold && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  const char first = letter(1);
  const char second = letter(2);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return at + 2;
  if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l'))
    return at + 3;
  const bool long_s = fold && end_ - at >= 3 && at[1] == '\xC5' && at[2] == '\xBF';
  return long_s ? at + 3 : at;
}

Match find_gpt2(const char* at, const char* end) {
  if (at >= end) return {};
  const Matcher m(end);
  if (const char* stop = m.contraction(at, false); stop != at) return {at, stop};
  const char* core = *at == ' ' ? at + 1 : at;
  if (m.is(core, kSpace) || m.at_end(core)) return {at, m.space(at)};
  if (m.is(core, kLetter)) return {at, m.run(core, kLetter)};
  if (m.is(core, kNumber)) return {at, m.run(core, kNumber)};
  return {at, m.run_not(core, kSpace | kLetter | kNumber)};
}

namespace {

// contractions | [^\r\n\p{L}\p{N}]?\p{L}+ | \p{N}{1,digits} | ?[^\s\p{L}\p{N}]+[\r\n]* | white space with newlines
Match find_llama_like(const char* at, const char* end, int digits) {
  if (at >= end) return {};
  const Matcher m(end);
  if (const char* stop = m.contraction(at, true); stop != at) return {at, stop};
  const Char first = m.get(at);
  if (first.is(kLetter)) return {at, m.run(at, kLetter)};
  if (first.is(kNumber)) return {at, m.run(at, kNumber, digits)};
  const char* second = at + first.length;
  if (!first.is(kNewline) && m.is(second, kLetter)) return {at, m.run(second, kLetter)};
  const char* core = *at == ' ' ? second : at;
  if (m.is_not(core, kSpace | kLetter | kNumber)) {
    return {at, m.run(m.run_not(core, kSpace | kLetter | kNumber), kNewline)};
  }
  return {at, m.space_with_newlines(at)};
}

constexpr CharKinds kUpperSide = kUpper | kTitle | kModifier | kOtherLetter | kMark;
constexpr CharKinds kLowerSide = kLower | kModifier | kOtherLetter | kMark;

// U*L+ from `at`, where some characters are of both sides; nullptr if it does not match.
const char* upper_then_lower(const Matcher& m, const char* at) {
  const char* after_both = nullptr;  // behind the last character of both sides within U*
  const char* next = at;
  while (!m.at_end(next)) {
    const Char here = m.get(next);
    if (!here.is(kUpperSide)) break;
    next += here.length;
    if (here.is(kLowerSide)) after_both = next;
  }
  const char* stop = m.run(next, kLowerSide);
  if (stop != next) return stop;
  return after_both;
}

// U+L*
const char* upper_run(const Matcher& m, const char* at) {
  const char* next = m.run(at, kUpperSide);
  return next == at ? nullptr : m.run(next, kLowerSide);
}

// [\r\n/]*
const char* newlines_and_slashes(const Matcher& m, const char* at) {
  while (!m.at_end(at) && (*at == '\r' || *at == '\n' || *at == '/')) ++at;
  return at;
}

}  // namespace

Match find_llama3(const char* at, const char* end) { return find_llama_like(at, end, 3); }
Match find_qwen2(const char* at, const char* end) { return find_llama_like(at, end, 1); }

namespace {

// [^\r\n\p{L}\p{N}]?U*L+ | [^\r\n\p{L}\p{N}]?U+L* | \p{N}{1,digits} | ?[^\s\p{L}\p{N}]+[\r\n/]* | white space with
// newlines; words take a contraction behind them where `suffix` says so
Match find_cased(const char* at, const char* end, int digits, bool suffix) {
  if (at >= end) return {};
  const Matcher m(end);
  const Char first = m.get(at);
  const char* second = at + first.length;
  const bool may_lead = !first.is(kNewline | kLetter | kNumber);
  for (const auto word : {upper_then_lower, upper_run}) {
    const char* stop = may_lead ? word(m, second) : nullptr;
    if (stop == nullptr) stop = word(m, at);
    if (stop != nullptr) return {at, suffix ? m.contraction(stop, true) : stop};
  }
  if (first.is(kNumber)) return {at, m.run(at, kNumber, digits)};
  const char* core = *at == ' ' ? second : at;
  if (m.is_not(core, kSpace | kLetter | kNumber)) {
    return {at, newlines_and_slashes(m, m.run_not(core, kSpace | kLetter | kNumber))};
  }
  return {at, m.space_with_newlines(at)};
}

}  // namespace

Match find_tekken(const char* at, const char* end) { return find_cased(at, end, 1, false); }
Match find_o200k(const char* at, const char* end) { return find_cased(at, end, 3, true); }

namespace {

bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool is_ascii_punctuation(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte > 0x20 && byte < 0x30) || (byte > 0x39 && byte < 0x41) || (byte > 0x5A && byte < 0x61) ||
         (byte > 0x7A && byte < 0x7F);
}

const char* deepseek_v3_at(const Matcher& m, const char* at) {
  const char* end = m.end();
  if (is_ascii_punctuation(*at) && end - at > 1 && is_ascii_letter(at[1])) {
    const char* next = at + 2;
    while (next < end && is_ascii_letter(*next)) ++next;
    return next;
  }
  const Char first = m.get(at);
  const char* second = at + first.length;
  if (!first.is(kNewline | kLetter | kPunctuation | kSymbol) && m.is(second, kLetter | kMark)) {
    return m.run(second, kLetter | kMark);
  }
  if (first.is(kLetter | kMark)) return m.run(at, kLetter | kMark);
  const char* core = *at == ' ' ? second : at;
  if (m.is(core, kPunctuation | kSymbol)) return m.run(m.run(core, kPunctuation | kSymbol), kNewline);
  return first.is(kSpace) ? m.space_with_newlines(at) : nullptr;
}

}  // namespace

// [!-/:-~][A-Za-z]+ | [^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+ | ?[\p{P}\p{S}]+[\r\n]* | white space with newlines
Match find_deepseek_v3(const char* at, const char* end) {
  const Matcher m(end);
  while (at < end) {
    if (const char* stop = deepseek_v3_at(m, at); stop != nullptr) return {at, stop};
    at += m.get(at).length;
  }
  return {};
}

}  // namespace quernel::text
