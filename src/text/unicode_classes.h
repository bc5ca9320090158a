// What kind of character is this: one table look-up.
//
// Exact    general categories of Unicode 16.0: utf8proc's (15.0) and the ranges of unicode_additions.inc. Tested
//          against the regular expressions and the Digits step of the `tokenizers` package on every code point.
// Cost     the table (about 90 KiB) is built at first use, in about 10 ms
// Threads  pure functions
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "text/utf8.h"

namespace quernel::text {

// A set of kinds is an OR of these; a character has at least one bit or none.
using CharKinds = std::uint16_t;
constexpr CharKinds kUpper = 1U << 0U;        // Lu
constexpr CharKinds kLower = 1U << 1U;        // Ll
constexpr CharKinds kTitle = 1U << 2U;        // Lt
constexpr CharKinds kModifier = 1U << 3U;     // Lm
constexpr CharKinds kOtherLetter = 1U << 4U;  // Lo
constexpr CharKinds kMark = 1U << 5U;         // M
constexpr CharKinds kNumber = 1U << 6U;       // N, as regular expressions see it
constexpr CharKinds kPunctuation = 1U << 7U;  // P
constexpr CharKinds kSymbol = 1U << 8U;       // S
constexpr CharKinds kSpace = 1U << 9U;        // White_Space
constexpr CharKinds kNewline = 1U << 10U;     // CR and LF, which are kSpace too
constexpr CharKinds kNumeric = 1U << 11U;     // N, as the Digits step sees it (Unicode 17.0)
constexpr CharKinds kWord = 1U << 12U;        // \w: letters, marks, digits, connectors, joiners
constexpr CharKinds kNfcStable = 1U << 13U;   // a text of these only is NFC already

constexpr CharKinds kLetter = kUpper | kLower | kTitle | kModifier | kOtherLetter;

class CharTable {
 public:
  static const CharTable& get();

  [[nodiscard]] CharKinds kinds(std::uint32_t code) const {
    if (code > 0x10FFFF) return 0;  // an invalid byte has no kind
    return blocks_[index_[code >> kShift] + (code & kMask)];
  }

 private:
  static constexpr std::uint32_t kShift = 7;
  static constexpr std::uint32_t kMask = (1U << kShift) - 1;

  CharTable();

  std::array<std::uint32_t, (0x110000U >> kShift)> index_{};  // by code >> kShift: where its block begins
  std::vector<CharKinds> blocks_;
};

struct Char {
  CharKinds kinds = 0;
  std::uint32_t length = 1;  // bytes
  [[nodiscard]] bool is(CharKinds set) const { return (kinds & set) != 0; }
};

// at < end.
inline Char char_at(const CharTable& table, const char* at, const char* end) {
  const Decoded decoded = decode_utf8(at, end);
  return {table.kinds(decoded.code), decoded.length};
}

}  // namespace quernel::text
