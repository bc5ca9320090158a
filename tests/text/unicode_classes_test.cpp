#include "text/unicode_classes.h"

#include <gtest/gtest.h>
#include <utf8proc.h>

namespace quernel::text {
namespace {

CharKinds kinds(std::uint32_t code) { return CharTable::get().kinds(code); }

TEST(CharTable, KnowsTheKinds) {
  EXPECT_EQ(kinds('A') & ~kNfcStable, kUpper | kWord);
  EXPECT_EQ(kinds('7') & ~kNfcStable, kNumber | kNumeric | kWord);
  EXPECT_EQ(kinds('_') & ~kNfcStable, kPunctuation | kWord);
  EXPECT_EQ(kinds('$') & ~kNfcStable, kSymbol);
  EXPECT_EQ(kinds('\n') & ~kNfcStable, kSpace | kNewline);
  EXPECT_EQ(kinds(0x3000) & ~kNfcStable, kSpace);
  EXPECT_EQ(kinds(0x200B), 0) << "the zero-width space is none";
  EXPECT_EQ(kinds(0x301) & kMark, kMark);
  EXPECT_EQ(kinds(0x1C5) & kTitle, kTitle);
  EXPECT_EQ(kinds(0x2B0) & kModifier, kModifier);
  EXPECT_EQ(kinds(0x105C0) & kOtherLetter, kOtherLetter) << "Unicode 16";
  EXPECT_EQ(kinds(0x11DE0), kNumeric) << "Unicode 17: for the Digits step only";
  EXPECT_EQ(kinds(kInvalidCodePoint), 0);
  EXPECT_EQ(kinds(0x110000), 0);
}

// The promise behind skipping NFC: such a character is not changed, has no combining class, and composes with nothing
// before it.
TEST(CharTable, StableCharactersAreStable) {
  std::vector<bool> second(0x110000);  // characters that end some canonical composition
  for (std::int32_t code = 0; code < 0x110000; ++code) {
    std::int32_t parts[8];
    int boundary = 0;
    const auto count =
        utf8proc_decompose_char(code, parts, 8, static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE), &boundary);
    for (int i = 1; i < count; ++i) second[static_cast<std::size_t>(parts[i])] = true;
  }
  for (std::uint32_t code = 0; code < 0x110000; ++code) {
    if ((kinds(code) & kNfcStable) == 0) continue;
    EXPECT_FALSE(second[code]) << code;
    EXPECT_EQ(utf8proc_get_property(static_cast<std::int32_t>(code))->combining_class, 0) << code;
    std::string text;
    append_utf8(text, code);
    std::int32_t buffer[32];
    auto count = utf8proc_decompose(reinterpret_cast<const std::uint8_t*>(text.data()),
                                    static_cast<utf8proc_ssize_t>(text.size()), buffer, 32,
                                    static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE));
    count = utf8proc_normalize_utf32(buffer, count, static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
    EXPECT_TRUE(count == 1 && buffer[0] == static_cast<std::int32_t>(code)) << code;
  }
}

}  // namespace
}  // namespace quernel::text
