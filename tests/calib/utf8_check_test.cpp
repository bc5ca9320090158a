#include "calib/utf8_check.h"

#include <gtest/gtest.h>

#include <string>

namespace quernel::calib {
namespace {

using std::string_literals::operator""s;

TEST(Utf8Check, TakesEveryCodePoint) {
  std::string all;
  for (std::uint32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    const auto add = [&](std::uint32_t byte) { all.push_back(static_cast<char>(byte)); };
    if (c < 0x80) {
      add(c);
    } else if (c < 0x800) {
      add(0xC0 | c >> 6);
      add(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
      add(0xE0 | c >> 12);
      add(0x80 | (c >> 6 & 0x3F));
      add(0x80 | (c & 0x3F));
    } else {
      add(0xF0 | c >> 18);
      add(0x80 | (c >> 12 & 0x3F));
      add(0x80 | (c >> 6 & 0x3F));
      add(0x80 | (c & 0x3F));
    }
  }
  EXPECT_EQ(first_invalid_utf8(all), std::nullopt);
}

TEST(Utf8Check, NamesTheOffsetOfWhatIsNotWellFormed) {
  const std::string bad[] = {"\x80"s,
                             "\xBF"s,
                             "\xC0\x80"s,
                             "\xC1\xBF"s,
                             "\xC2"s,
                             "\xC2\x41"s,
                             "\xE0\x9F\xBF"s,
                             "\xED\xA0\x80"s,
                             "\xED\xBF\xBF"s,
                             "\xE4\xB8"s,
                             "\xE4\xB8\x41"s,
                             "\xF0\x8F\xBF\xBF"s,
                             "\xF4\x90\x80\x80"s,
                             "\xF5\x80\x80\x80"s,
                             "\xFF\xFE"s,
                             "\xF0\x9F\x98"s};
  for (const std::string& piece : bad) {
    for (std::size_t before = 0; before < 20; ++before) {
      const std::string text = std::string(before, 'a') + piece + "tail of plain text";
      EXPECT_EQ(first_invalid_utf8(text), before) << "piece of " << piece.size() << " bytes";
      EXPECT_EQ(first_invalid_utf8(text.substr(0, before + piece.size())), before);
    }
  }
}

TEST(Utf8Check, EmptyIsFine) { EXPECT_EQ(first_invalid_utf8(""), std::nullopt); }

}  // namespace
}  // namespace quernel::calib
