#include "codec/int_pack.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "base/checked.h"

namespace quernel::codec {
namespace {

static_assert(std::endian::native == std::endian::little, "bitstreams are read as little-endian bytes");

constexpr std::int64_t kCodesPerOctet = 8;  // 8 codes of b bits are exactly b bytes
constexpr std::int64_t kCodesPerTile = 32;  // 32 codes of b bits are exactly b words
constexpr int kMaxBits = 8;

// Eight b-bit fields, side by side in the low bits, to one byte each; halved three times.
template <int b>
std::uint64_t spread_octet(std::uint64_t fields) {
  if constexpr (b == 8) return fields;
  constexpr std::uint64_t kQuad = (std::uint64_t{1} << (4 * b)) - 1;
  constexpr std::uint64_t kPair = ((std::uint64_t{1} << (2 * b)) - 1) * 0x0000000100000001u;
  constexpr std::uint64_t kOne = ((std::uint64_t{1} << b) - 1) * 0x0001000100010001u;
  fields = (fields & kQuad) | ((fields >> (4 * b)) & kQuad) << 32;
  fields = (fields & kPair) | ((fields >> (2 * b)) & kPair) << 16;
  return (fields & kOne) | ((fields >> b) & kOne) << 8;
}

template <int b>
std::uint64_t gather_octet(std::uint64_t bytes) {
  if constexpr (b == 8) return bytes;
  constexpr std::uint64_t kQuad = (std::uint64_t{1} << (4 * b)) - 1;
  constexpr std::uint64_t kPair = ((std::uint64_t{1} << (2 * b)) - 1) * 0x0000000100000001u;
  constexpr std::uint64_t kOne = ((std::uint64_t{1} << b) - 1) * 0x0001000100010001u;
  bytes = (bytes & kOne) | ((bytes >> 8) & kOne) << b;
  bytes = (bytes & kPair) | ((bytes >> 16) & kPair) << (2 * b);
  return (bytes & kQuad) | ((bytes >> 32) & kQuad) << (4 * b);
}

// `count` <= 8 codes to and from b bytes.
template <int b>
void pack_octet(const std::uint8_t* codes, std::size_t count, std::byte* out, std::size_t out_bytes) {
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, codes, count);
  const std::uint64_t fields = gather_octet<b>(bytes);
  std::memcpy(out, &fields, out_bytes);
}

template <int b>
void unpack_octet(const std::byte* in, std::size_t in_bytes, std::uint8_t* codes, std::size_t count) {
  std::uint64_t fields = 0;
  std::memcpy(&fields, in, in_bytes);
  const std::uint64_t bytes = spread_octet<b>(fields);
  std::memcpy(codes, &bytes, count);
}

std::size_t bytes_of(std::size_t count, int bits) { return (count * static_cast<std::size_t>(bits) + 7) / 8; }

template <int b>
void pack_stream(const std::uint8_t* codes, std::size_t count, std::byte* out) {
  constexpr std::size_t kOctet = kCodesPerOctet;
  std::size_t i = 0;
  for (; i + kOctet <= count; i += kOctet, out += b) pack_octet<b>(codes + i, kOctet, out, b);
  if (i < count) pack_octet<b>(codes + i, count - i, out, bytes_of(count - i, b));
}

template <int b>
void unpack_stream(const std::byte* in, std::size_t count, std::uint8_t* codes) {
  constexpr std::size_t kOctet = kCodesPerOctet;
  std::size_t i = 0;
  for (; i + kOctet <= count; i += kOctet, in += b) unpack_octet<b>(in, b, codes + i, kOctet);
  if (i < count) unpack_octet<b>(in, bytes_of(count - i, b), codes + i, count - i);
}

// One tile of 32 columns of every row: b words for each row, `rows` words apart.
template <int b>
void pack_tile(const std::uint8_t* codes, std::int64_t rows, std::int64_t cols, std::int64_t first,
               std::uint32_t* words) {
  const auto count = static_cast<std::size_t>(std::min(kCodesPerTile, cols - first));
  const std::int64_t num_words = packed_words(static_cast<std::int64_t>(count), b);
  for (std::int64_t row = 0; row < rows; ++row) {
    std::array<std::uint32_t, std::size_t{b}> tile{};
    const std::uint8_t* from = codes + row * cols + first;
    if (count == kCodesPerTile) {
      pack_stream<b>(from, kCodesPerTile, reinterpret_cast<std::byte*>(tile.data()));
    } else {
      pack_stream<b>(from, count, reinterpret_cast<std::byte*>(tile.data()));
    }
    for (std::int64_t w = 0; w < num_words; ++w) words[w * rows + row] = tile[static_cast<std::size_t>(w)];
  }
}

template <int b>
void unpack_tile(const std::byte* words, std::int64_t rows, std::int64_t cols, std::int64_t first,
                 std::uint8_t* codes) {
  const auto count = static_cast<std::size_t>(std::min(kCodesPerTile, cols - first));
  const std::int64_t num_words = packed_words(static_cast<std::int64_t>(count), b);
  for (std::int64_t row = 0; row < rows; ++row) {
    std::array<std::uint32_t, std::size_t{b}> tile{};
    for (std::int64_t w = 0; w < num_words; ++w) {
      std::memcpy(&tile[static_cast<std::size_t>(w)], words + 4 * (w * rows + row), 4);
    }
    std::uint8_t* to = codes + row * cols + first;
    if (count == kCodesPerTile) {
      unpack_stream<b>(reinterpret_cast<const std::byte*>(tile.data()), kCodesPerTile, to);
    } else {
      unpack_stream<b>(reinterpret_cast<const std::byte*>(tile.data()), count, to);
    }
  }
}

// Calls visit.operator()<b>() for b = bits, so that all masks are constants.
template <class Visitor>
void with_bits(int bits, const Visitor& visit) {
  switch (bits) {
    case 2: return visit.template operator()<2>();
    case 3: return visit.template operator()<3>();
    case 4: return visit.template operator()<4>();
    case 5: return visit.template operator()<5>();
    case 6: return visit.template operator()<6>();
    case 7: return visit.template operator()<7>();
    case 8: return visit.template operator()<8>();
    default: QUERNEL_CHECK(false, "codes of {} bits", bits);
  }
}

std::size_t area(std::int64_t rows, std::int64_t cols) {
  const auto product = checked_mul(rows, cols);
  QUERNEL_CHECK(rows >= 0 && cols >= 0 && product.has_value(), "shape [{}, {}]", rows, cols);
  return static_cast<std::size_t>(*product);
}

}  // namespace

std::int64_t packed_words(std::int64_t count, int bits) {
  QUERNEL_CHECK(bits >= 2 && bits <= kMaxBits && count >= 0 && count < INT64_MAX / 64, "{} codes of {} bits", count,
                bits);
  return ceil_div<std::int64_t>(count * bits, 32);
}

void pack_bits(std::span<const std::uint8_t> codes, int bits, std::span<std::uint32_t> words) {
  QUERNEL_CHECK(static_cast<std::int64_t>(words.size()) == packed_words(static_cast<std::int64_t>(codes.size()), bits));
  if (words.empty()) return;
  words.back() = 0;
  with_bits(bits,
            [&]<int b>() { pack_stream<b>(codes.data(), codes.size(), reinterpret_cast<std::byte*>(words.data())); });
}

void unpack_bits(std::span<const std::byte> words, int bits, std::span<std::uint8_t> codes) {
  QUERNEL_CHECK(words.size() ==
                4 * static_cast<std::size_t>(packed_words(static_cast<std::int64_t>(codes.size()), bits)));
  with_bits(bits, [&]<int b>() { unpack_stream<b>(words.data(), codes.size(), codes.data()); });
}

std::vector<std::uint32_t> pack_rows(std::span<const std::uint8_t> codes, std::int64_t rows, std::int64_t cols,
                                     int bits) {
  QUERNEL_CHECK(codes.size() == area(rows, cols));
  const auto row_words = static_cast<std::size_t>(packed_words(cols, bits));
  const auto row_codes = static_cast<std::size_t>(cols);
  std::vector<std::uint32_t> words(static_cast<std::size_t>(rows) * row_words);
  for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row) {
    pack_bits(codes.subspan(row * row_codes, row_codes), bits, std::span(words).subspan(row * row_words, row_words));
  }
  return words;
}

void unpack_rows(std::span<const std::byte> words, std::int64_t rows, std::int64_t cols, int bits,
                 std::span<std::uint8_t> codes) {
  QUERNEL_CHECK(codes.size() == area(rows, cols));
  const auto row_bytes = 4 * static_cast<std::size_t>(packed_words(cols, bits));
  const auto row_codes = static_cast<std::size_t>(cols);
  QUERNEL_CHECK(words.size() == static_cast<std::size_t>(rows) * row_bytes);
  for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row) {
    unpack_bits(words.subspan(row * row_bytes, row_bytes), bits, codes.subspan(row * row_codes, row_codes));
  }
}

std::vector<std::uint32_t> pack_rows_transposed(std::span<const std::uint8_t> codes, std::int64_t rows,
                                                std::int64_t cols, int bits) {
  QUERNEL_CHECK(codes.size() == area(rows, cols));
  std::vector<std::uint32_t> words(area(packed_words(cols, bits), rows));
  with_bits(bits, [&]<int b>() {
    for (std::int64_t first = 0; first < cols; first += kCodesPerTile) {
      pack_tile<b>(codes.data(), rows, cols, first, words.data() + first / kCodesPerTile * b * rows);
    }
  });
  return words;
}

void unpack_rows_transposed(std::span<const std::byte> words, std::int64_t rows, std::int64_t cols, int bits,
                            std::span<std::uint8_t> codes) {
  QUERNEL_CHECK(codes.size() == area(rows, cols) && words.size() == 4 * area(packed_words(cols, bits), rows));
  with_bits(bits, [&]<int b>() {
    for (std::int64_t first = 0; first < cols; first += kCodesPerTile) {
      unpack_tile<b>(words.data() + 4 * (first / kCodesPerTile * b * rows), rows, cols, first, codes.data());
    }
  });
}

std::int64_t padded_words(std::int64_t count, int bits) {
  QUERNEL_CHECK(bits >= 2 && bits <= kMaxBits && count >= 0, "{} codes of {} bits", count, bits);
  return ceil_div<std::int64_t>(count, 32 / bits);
}

void unpack_padded(std::span<const std::byte> words, int bits, std::span<std::uint8_t> codes) {
  QUERNEL_CHECK(words.size() ==
                4 * static_cast<std::size_t>(padded_words(static_cast<std::int64_t>(codes.size()), bits)));
  const std::size_t codes_per_word = static_cast<std::size_t>(32 / bits);
  const std::uint32_t mask = (1u << bits) - 1;
  for (std::size_t first = 0; first < codes.size(); first += codes_per_word) {
    std::uint32_t word = 0;
    std::memcpy(&word, words.data() + 4 * (first / codes_per_word), 4);
    const std::size_t end = std::min(codes.size(), first + codes_per_word);
    for (std::size_t i = first; i < end; ++i, word >>= bits) codes[i] = static_cast<std::uint8_t>(word & mask);
  }
}

std::vector<std::uint8_t> transpose_codes(std::span<const std::uint8_t> codes, std::int64_t rows, std::int64_t cols) {
  QUERNEL_CHECK(codes.size() == area(rows, cols));
  std::vector<std::uint8_t> out(codes.size());
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t col = 0; col < cols; ++col) {
      out[static_cast<std::size_t>(col * rows + row)] = codes[static_cast<std::size_t>(row * cols + col)];
    }
  }
  return out;
}

}  // namespace quernel::codec
