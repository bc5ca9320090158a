#include "codec/int_pack.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace quernel::codec {
namespace {

using Words = std::vector<std::uint32_t>;
using Codes = std::vector<std::uint8_t>;

Codes codes_modulo(std::size_t count, unsigned modulus) {
  Codes codes(count);
  for (std::size_t i = 0; i < count; ++i) codes[i] = static_cast<std::uint8_t>(i % modulus);
  return codes;
}

Codes random_codes(std::size_t count, int bits, std::uint64_t seed) {
  Codes codes(count);
  std::uint64_t state = seed * 2862933555777941757ULL + 3037000493ULL;
  for (std::uint8_t& code : codes) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    code = static_cast<std::uint8_t>((state >> 40) & ((1U << bits) - 1));
  }
  return codes;
}

Words packed(const Codes& codes, int bits) {
  Words words(static_cast<std::size_t>(packed_words(static_cast<std::int64_t>(codes.size()), bits)), 0xdeadbeefU);
  pack_bits(codes, bits, words);
  return words;
}

// The definition, bit by bit.
Words packed_by_definition(const Codes& codes, int bits) {
  Words words((codes.size() * static_cast<std::size_t>(bits) + 31) / 32, 0);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    for (int bit = 0; bit < bits; ++bit) {
      const std::size_t position = i * static_cast<std::size_t>(bits) + static_cast<std::size_t>(bit);
      if ((codes[i] >> bit) & 1) words[position / 32] |= 1U << (position % 32);
    }
  }
  return words;
}

std::span<const std::byte> bytes_of(const Words& words) { return std::as_bytes(std::span(words)); }

TEST(IntPack, GoldenFourBits) { EXPECT_EQ(packed(codes_modulo(8, 16), 4), Words{0x76543210U}); }

TEST(IntPack, GoldenThreeBits) {
  EXPECT_EQ(packed(codes_modulo(32, 8), 3), (Words{0x88fac688U, 0xc688fac6U, 0xfac688faU}));
}

TEST(IntPack, GoldenOlderThreeBits) {
  const Words words{0x08fac688U, 0x1a23eb1aU, 0x2c688facU, 0x0000003eU};
  ASSERT_EQ(padded_words(32, 3), 4);
  Codes codes(32);
  unpack_padded(bytes_of(words), 3, codes);
  EXPECT_EQ(codes, codes_modulo(32, 8));
}

TEST(IntPack, EveryLengthAndWidthFollowsTheDefinition) {
  for (int bits = 2; bits <= 8; ++bits) {
    for (std::size_t count = 0; count <= 100; ++count) {
      const Codes codes = random_codes(count, bits, count + 1);
      const Words words = packed(codes, bits);
      ASSERT_EQ(words, packed_by_definition(codes, bits)) << bits << " bits, " << count << " codes";
      Codes back(count, 0xff);
      unpack_bits(bytes_of(words), bits, back);
      ASSERT_EQ(back, codes) << bits << " bits, " << count << " codes";
    }
  }
}

TEST(IntPack, ACodeTooLargeLeavesItsNeighboursWhole) {
  for (int bits = 2; bits <= 7; ++bits) {
    Codes codes(19, 0);
    codes[9] = 0xff;
    Codes back(codes.size());
    unpack_bits(bytes_of(packed(codes, bits)), bits, back);
    for (std::size_t i = 0; i < back.size(); ++i) EXPECT_EQ(back[i], i == 9 ? (1 << bits) - 1 : 0) << bits << " " << i;
  }
}

TEST(IntPack, ReadsFromAnyAlignment) {
  const Codes codes = random_codes(77, 3, 5);
  const Words words = packed(codes, 3);
  std::vector<std::byte> shifted(words.size() * 4 + 1);
  std::memcpy(shifted.data() + 1, words.data(), words.size() * 4);
  Codes back(codes.size());
  unpack_bits(std::span<const std::byte>(shifted).subspan(1), 3, back);
  EXPECT_EQ(back, codes);
}

TEST(IntPack, TransposedStreamsHoldTheSameWords) {
  for (const int bits : {2, 3, 4, 8}) {
    for (const auto& [rows, cols] :
         std::vector<std::pair<std::int64_t, std::int64_t>>{{1, 1}, {3, 32}, {5, 40}, {7, 96}, {2, 131}}) {
      const Codes codes = random_codes(static_cast<std::size_t>(rows * cols), bits, static_cast<std::uint64_t>(cols));
      const Words by_row = pack_rows(codes, rows, cols, bits);
      const Words by_column = pack_rows_transposed(codes, rows, cols, bits);
      const std::int64_t num_words = packed_words(cols, bits);
      for (std::int64_t row = 0; row < rows; ++row) {
        for (std::int64_t word = 0; word < num_words; ++word) {
          ASSERT_EQ(by_row[static_cast<std::size_t>(row * num_words + word)],
                    by_column[static_cast<std::size_t>(word * rows + row)])
              << bits << " bits, row " << row << " word " << word;
        }
      }
      Codes back(codes.size());
      unpack_rows_transposed(bytes_of(by_column), rows, cols, bits, back);
      EXPECT_EQ(back, codes);
      Codes back_by_row(codes.size());
      unpack_rows(bytes_of(by_row), rows, cols, bits, back_by_row);
      EXPECT_EQ(back_by_row, codes);
    }
  }
}

TEST(IntPack, TransposeTwiceIsTheSame) {
  const Codes codes = random_codes(35, 8, 3);
  EXPECT_EQ(transpose_codes(transpose_codes(codes, 5, 7), 7, 5), codes);
  EXPECT_EQ(transpose_codes(Codes{1, 2, 3, 4, 5, 6}, 2, 3), (Codes{1, 4, 2, 5, 3, 6}));
}

}  // namespace
}  // namespace quernel::codec
