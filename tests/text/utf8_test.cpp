#include "text/utf8.h"

#include <gtest/gtest.h>

#include "text/byte_alphabet.h"

namespace quernel::text {
namespace {

TEST(Utf8, DecodesEveryCodePointAndNothingElse) {
  for (std::uint32_t code = 0; code < 0x110000; ++code) {
    std::string text;
    append_utf8(text, code);
    const Decoded decoded = decode_utf8(text.data(), text.data() + text.size());
    if (code >= 0xD800 && code < 0xE000) {
      EXPECT_FALSE(decoded.valid()) << code;
    } else {
      EXPECT_TRUE(decoded.code == code && decoded.length == text.size()) << code;
    }
    for (std::size_t cut = 1; cut < text.size(); ++cut) {
      EXPECT_FALSE(decode_utf8(text.data(), text.data() + cut).valid()) << code << " cut to " << cut;
    }
  }
  for (const char* bad : {"\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xF0\x80\x80\x80", "\xF4\x90\x80\x80",
                          "\xF8\x88\x80\x80", "\x80", "\xFF"}) {
    EXPECT_FALSE(decode_utf8(bad, bad + std::string_view(bad).size()).valid()) << bad;
  }
}

TEST(Utf8, RepairsLikeTheStandard) {
  EXPECT_EQ(repair_utf8("a\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64"),
            "a\uFFFD\uFFFD\uFFFDb\uFFFDc\uFFFD\uFFFDd");
  EXPECT_EQ(repair_utf8("\xE0\x80\x80"), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(repair_utf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD") << "a surrogate";
  EXPECT_EQ(repair_utf8("\xC3\xA9\xC3"), "\u00E9\uFFFD");
}

TEST(Utf8, KnowsWhatMoreBytesCouldComplete) {
  EXPECT_EQ(incomplete_tail(""), 0U);
  EXPECT_EQ(incomplete_tail("a"), 0U);
  EXPECT_EQ(incomplete_tail("a\xC3"), 1U);
  EXPECT_EQ(incomplete_tail("\xF0\x9F\x98"), 3U);
  EXPECT_EQ(incomplete_tail("\xF0\x9F\x98\x80"), 0U);
  EXPECT_EQ(incomplete_tail("\xE2\x82"), 2U);
  EXPECT_EQ(incomplete_tail("\x82\x82\x82"), 0U);
  EXPECT_EQ(incomplete_tail("\xE0\x80"), 0U) << "overlong: nothing can complete it";
  EXPECT_EQ(incomplete_tail("\xFF"), 0U);
}

TEST(ByteAlphabet, IsTheOneOfGpt2) {
  EXPECT_EQ(alphabet_char(' '), 0x120U);
  EXPECT_EQ(alphabet_char('\n'), 0x10AU);
  EXPECT_EQ(alphabet_char('!'), U'!');
  EXPECT_EQ(alphabet_char(0), 0x100U);
  EXPECT_EQ(alphabet_char(0xAD), 0x143U);
  for (int byte = 0; byte < 256; ++byte) {
    EXPECT_EQ(alphabet_byte(alphabet_char(static_cast<std::uint8_t>(byte))), static_cast<std::uint8_t>(byte));
  }
  EXPECT_EQ(from_alphabet(to_alphabet("\xFF a\n")), "\xFF a\n");
  EXPECT_FALSE(from_alphabet("a b").has_value()) << "a plain space is not of the alphabet";
  EXPECT_FALSE(alphabet_byte(0x144).has_value());
  EXPECT_FALSE(alphabet_byte(kInvalidCodePoint).has_value());
}

TEST(ByteTokens, AreStrict) {
  EXPECT_EQ(byte_token_value("<0x0A>"), 10);
  EXPECT_EQ(byte_token_value(byte_token(0xFE)), 0xFE);
  for (const char* bad : {"<0x-1>", "<0x+1>", "<0xG0>", "<0xfe>", "<0x100>", "<0x0>", "0x0A", "<0x0A", ""}) {
    EXPECT_FALSE(byte_token_value(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace quernel::text
