#include "codec/gguf_split.h"

#include <bit>
#include <cstring>

#include "base/check.h"

namespace quernel::codec {
namespace {

static_assert(std::endian::native == std::endian::little, "blocks are read in place");

using Byte = std::uint8_t;

constexpr int kSmall = 32;   // elements of a block of the first generation
constexpr int kSuper = 256;  // elements of a super-block

template <class T>
T load(const Byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

// --- 32 elements: element i < 16 is the low nibble of byte i, element i + 16 its high nibble ---

void put_nibbles(const Byte* from, Byte* codes) {
  for (int i = 0; i < kSmall / 2; ++i) {
    codes[i] = from[i] & 15;
    codes[i + kSmall / 2] = from[i] >> 4;
  }
}

// The fifth bit of element i is bit i of a word.
void put_fifth_bits(std::uint32_t high, Byte* codes) {
  for (int i = 0; i < kSmall; ++i) codes[i] = static_cast<Byte>(codes[i] | (high >> i & 1U) << 4);
}

void split_q4_0(const Byte* block, GgufSplit& out) {
  out.d = load<std::uint16_t>(block);
  put_nibbles(block + 2, out.codes.data());
}

void split_q4_1(const Byte* block, GgufSplit& out) {
  out.d = load<std::uint16_t>(block);
  out.dmin = load<std::uint16_t>(block + 2);
  put_nibbles(block + 4, out.codes.data());
}

void split_q5_0(const Byte* block, GgufSplit& out) {
  out.d = load<std::uint16_t>(block);
  put_nibbles(block + 6, out.codes.data());
  put_fifth_bits(load<std::uint32_t>(block + 2), out.codes.data());
}

void split_q5_1(const Byte* block, GgufSplit& out) {
  out.d = load<std::uint16_t>(block);
  out.dmin = load<std::uint16_t>(block + 2);
  put_nibbles(block + 8, out.codes.data());
  put_fifth_bits(load<std::uint32_t>(block + 4), out.codes.data());
}

// Signed bytes, as 128 more.
void split_q8_0(const Byte* block, GgufSplit& out) {
  out.d = load<std::uint16_t>(block);
  for (int i = 0; i < kSmall; ++i) out.codes[static_cast<std::size_t>(i)] = block[2 + i] ^ 0x80;
}

// --- 256 elements: scales of 16 or 32 elements are small integers times a half ---

// s and m share a byte; four elements 32 apart share a byte of codes
void split_q2_k(const Byte* block, GgufSplit& out) {
  out.d = load<std::uint16_t>(block + 80);
  out.dmin = load<std::uint16_t>(block + 82);
  for (int part = 0; part < kSuper / 16; ++part) {
    out.s[static_cast<std::size_t>(part)] = block[part] & 15;
    out.m[static_cast<std::size_t>(part)] = block[part] >> 4;
    const Byte* from = block + 16 + 32 * (part / 8) + 16 * (part % 2);
    const int shift = 2 * (part % 8 / 2);
    for (int i = 0; i < 16; ++i) out.codes[static_cast<std::size_t>(16 * part + i)] = from[i] >> shift & 3;
  }
}

// Scale `part` of 16 with six bits: low four in one of 8 bytes, high two in one of the 4 bytes after them.
int q3_k_scale(const Byte* scales, int part) {
  const int low = part < 8 ? scales[part] & 15 : scales[part - 8] >> 4;
  const int high = scales[8 + part % 4] >> 2 * (part / 4) & 3;
  return (low | high << 4) - 32;
}

// The third bit of a code is a bit of the mask
void split_q3_k(const Byte* block, GgufSplit& out) {
  out.d = load<std::uint16_t>(block + 108);
  for (int part = 0; part < kSuper / 16; ++part) {
    out.s[static_cast<std::size_t>(part)] = static_cast<std::int16_t>(q3_k_scale(block + 96, part));
    const Byte* from = block + 32 + 32 * (part / 8) + 16 * (part % 2);
    const Byte* high = block + 16 * (part % 2);
    const int shift = 2 * (part % 8 / 2);
    const int bit = part / 2;
    for (int i = 0; i < 16; ++i)
      out.codes[static_cast<std::size_t>(16 * part + i)] =
          static_cast<Byte>((from[i] >> shift & 3) | (high[i] >> bit & 1) << 2);
  }
}

// Pair `part` of 8 with six bits each, packed in 12 bytes: the first four pairs whole, the others split in 4 + 2 bits.
void put_six_bit_pairs(const Byte* packed, GgufSplit& out) {
  for (int part = 0; part < kSuper / 32; ++part) {
    int s = packed[part] & 63;
    int m = packed[part + 4] & 63;
    if (part >= 4) {
      s = (packed[part + 4] & 15) | packed[part - 4] >> 6 << 4;
      m = packed[part + 4] >> 4 | packed[part] >> 6 << 4;
    }
    out.s[static_cast<std::size_t>(part)] = static_cast<std::int16_t>(s);
    out.m[static_cast<std::size_t>(part)] = static_cast<std::int16_t>(m);
  }
}

// Elements 32 apart share a byte
void put_wide_nibbles(const Byte* from, GgufSplit& out) {
  for (int part = 0; part < kSuper / 32; ++part)
    for (int i = 0; i < 32; ++i)
      out.codes[static_cast<std::size_t>(32 * part + i)] = from[32 * (part / 2) + i] >> 4 * (part % 2) & 15;
}

void split_q4_k(const Byte* block, GgufSplit& out) {
  out.d = load<std::uint16_t>(block);
  out.dmin = load<std::uint16_t>(block + 2);
  put_six_bit_pairs(block + 4, out);
  put_wide_nibbles(block + 16, out);
}

// As Q4_K, the fifth bit of element i of pair p is bit p of byte i
void split_q5_k(const Byte* block, GgufSplit& out) {
  out.d = load<std::uint16_t>(block);
  out.dmin = load<std::uint16_t>(block + 2);
  put_six_bit_pairs(block + 4, out);
  put_wide_nibbles(block + 48, out);
  for (int part = 0; part < kSuper / 32; ++part)
    for (int i = 0; i < 32; ++i) {
      Byte& code = out.codes[static_cast<std::size_t>(32 * part + i)];
      code = static_cast<Byte>(code | (block[16 + i] >> part & 1) << 4);
    }
}

// Halves of 128 elements have 64 bytes of low nibbles and 32 of high pairs
void split_q6_k(const Byte* block, GgufSplit& out) {
  out.d = load<std::uint16_t>(block + 208);
  for (int part = 0; part < kSuper / 16; ++part) {
    out.s[static_cast<std::size_t>(part)] = static_cast<std::int8_t>(block[192 + part]);
    const int half = part / 8;
    const int quarter = part % 8 / 2;  // 32 elements inside the half
    const int column = 16 * (part % 2);
    const Byte* low = block + 64 * half + 32 * (quarter % 2) + column;
    const Byte* high = block + 128 + 32 * half + column;
    const int low_shift = 4 * (quarter / 2);
    const int high_shift = 2 * quarter;
    for (int i = 0; i < 16; ++i)
      out.codes[static_cast<std::size_t>(16 * part + i)] =
          static_cast<Byte>((low[i] >> low_shift & 15) | (high[i] >> high_shift & 3) << 4);
  }
}

void split_iq4_xs(const Byte* block, GgufSplit& out) {
  out.d = load<std::uint16_t>(block);
  const auto scales_high = load<std::uint16_t>(block + 2);
  for (int part = 0; part < kSuper / 32; ++part) {
    const int low = block[4 + part / 2] >> 4 * (part % 2) & 15;
    const int high = scales_high >> 2 * part & 3;
    out.s[static_cast<std::size_t>(part)] = static_cast<std::int16_t>((low | high << 4) - 32);
    put_nibbles(block + 8 + 16 * part, out.codes.data() + 32 * part);
  }
}

}  // namespace

std::optional<GgufKind> gguf_kind(GgmlType type) {
  switch (type) {
    case GgmlType::q4_0: return GgufKind{GgufForm::plain, 4, 8, 32};
    case GgmlType::q5_0: return GgufKind{GgufForm::plain, 5, 16, 32};
    case GgmlType::q8_0: return GgufKind{GgufForm::plain, 8, 128, 32};
    case GgmlType::iq4_nl: return GgufKind{GgufForm::plain, 4, 127, 32, true};
    case GgmlType::q4_1: return GgufKind{GgufForm::minimum, 4, 0, 32};
    case GgmlType::q5_1: return GgufKind{GgufForm::minimum, 5, 0, 32};
    case GgmlType::q3_k: return GgufKind{GgufForm::scaled, 3, 4, 16};
    case GgmlType::q6_k: return GgufKind{GgufForm::scaled, 6, 32, 16};
    case GgmlType::iq4_xs: return GgufKind{GgufForm::scaled, 4, 127, 32, true};
    case GgmlType::q2_k: return GgufKind{GgufForm::both, 2, 0, 16};
    case GgmlType::q4_k: return GgufKind{GgufForm::both, 4, 0, 32};
    case GgmlType::q5_k: return GgufKind{GgufForm::both, 5, 0, 32};
    default: return std::nullopt;
  }
}

void split_gguf(GgmlType type, const std::byte* block, GgufSplit& out) {
  const auto* bytes = reinterpret_cast<const Byte*>(block);
  switch (type) {
    case GgmlType::q4_0:
    case GgmlType::iq4_nl: return split_q4_0(bytes, out);
    case GgmlType::q4_1: return split_q4_1(bytes, out);
    case GgmlType::q5_0: return split_q5_0(bytes, out);
    case GgmlType::q5_1: return split_q5_1(bytes, out);
    case GgmlType::q8_0: return split_q8_0(bytes, out);
    case GgmlType::q2_k: return split_q2_k(bytes, out);
    case GgmlType::q3_k: return split_q3_k(bytes, out);
    case GgmlType::q4_k: return split_q4_k(bytes, out);
    case GgmlType::q5_k: return split_q5_k(bytes, out);
    case GgmlType::q6_k: return split_q6_k(bytes, out);
    case GgmlType::iq4_xs: return split_iq4_xs(bytes, out);
    default: QUERNEL_CHECK(false, "type {} has no kind", static_cast<std::uint32_t>(type));
  }
}

}  // namespace quernel::codec
