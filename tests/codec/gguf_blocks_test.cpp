#include "codec/gguf_blocks.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <vector>

#include "base/rng.h"
#include "tensor/half.h"

namespace quernel::codec {
namespace {

std::vector<float> decode(GgmlType type, const std::vector<std::uint8_t>& bytes) {
  const GgmlTypeTraits* traits = find_ggml_type(static_cast<std::uint32_t>(type));
  std::vector<float> out(bytes.size() / static_cast<std::size_t>(traits->bytes_per_block) *
                         static_cast<std::size_t>(traits->elements_per_block));
  const Status decoded = dequantize_gguf(type, std::as_bytes(std::span(bytes)), out);
  EXPECT_TRUE(decoded.ok()) << traits->name;
  return out;
}

void set_half(std::vector<std::uint8_t>& block, std::size_t at, float value) {
  const std::uint16_t bits = float_to_f16(value);
  std::memcpy(block.data() + at, &bits, sizeof(bits));
}

// Where a type keeps its half scale d, and its half offset (m or dmin), or -1.
struct Layout {
  GgmlType type;
  int d;
  int m;
};
constexpr Layout kLayouts[] = {{GgmlType::q4_0, 0, -1},  {GgmlType::q4_1, 0, 2},    {GgmlType::q5_0, 0, -1},
                               {GgmlType::q5_1, 0, 2},   {GgmlType::q8_0, 0, -1},   {GgmlType::iq4_nl, 0, -1},
                               {GgmlType::q2_k, 80, 82}, {GgmlType::q3_k, 108, -1}, {GgmlType::q4_k, 0, 2},
                               {GgmlType::q5_k, 0, 2},   {GgmlType::q6_k, 208, -1}, {GgmlType::iq4_xs, 0, -1}};

// Byte i of the block is (37 i + 11) mod 256, then d = 1 and m = 0.5.
std::vector<std::uint8_t> golden_block(const Layout& layout) {
  const auto size = static_cast<std::size_t>(find_ggml_type(static_cast<std::uint32_t>(layout.type))->bytes_per_block);
  std::vector<std::uint8_t> block(size);
  for (std::size_t i = 0; i < size; ++i) block[i] = static_cast<std::uint8_t>(37 * i + 11);
  set_half(block, static_cast<std::size_t>(layout.d), 1.0F);
  if (layout.m >= 0) set_half(block, static_cast<std::size_t>(layout.m), 0.5F);
  return block;
}

struct Golden {
  GgmlType type;
  std::vector<std::pair<std::size_t, float>> values;  // element, value
  double sum;                                         // of y[i]
  double weighted;                                    // of (i + 1) y[i]
};

// Values of the reference's own decoders.
const Golden kGolden[] = {
    {GgmlType::q4_0, {{0, -3}, {1, 2}, {16, -3}, {31, 0}}, -21, -518},
    {GgmlType::q4_1, {{0, 15.5}, {1, 4.5}, {16, 9.5}, {31, 12.5}}, 261, 4247},
    {GgmlType::q5_0, {{0, 9}, {1, -2}, {16, 14}, {31, 1}}, 15, 112},
    {GgmlType::q5_1, {{0, 19.5}, {1, 24.5}, {16, 19.5}, {31, 5.5}}, 521, 8165},
    {GgmlType::q8_0, {{0, 85}, {1, 122}, {16, -91}, {31, -48}}, -176, -8080},
    {GgmlType::iq4_nl, {{0, -35}, {1, 25}, {16, -35}, {31, 1}}, -257, -6919},
    {GgmlType::q2_k,
     {{0, 33}, {1, 0}, {16, -1.5}, {31, -1.5}, {32, 7.5}, {100, 20}, {128, 7.5}, {255, 4.5}},
     2059,
     243130},
    {GgmlType::q3_k, {{0, 81}, {1, -108}, {16, -96}, {31, 64}, {32, -22}, {100, 0}, {128, 2}, {255, 42}}, 958, 177145},
    {GgmlType::q4_k,
     {{0, 315.5}, {1, -25.5}, {16, 315.5}, {31, 160.5}, {32, 8}, {100, 95}, {128, 423}, {255, 48.5}},
     54440,
     7572840},
    {GgmlType::q5_k,
     {{0, 811.5}, {1, -25.5}, {16, 811.5}, {31, 160.5}, {32, 112}, {100, 235}, {128, 1047}, {255, 108.5}},
     116216,
     16027448},
    {GgmlType::q6_k,
     {{0, -1431}, {1, 1696}, {16, -432}, {31, -96}, {32, 231}, {100, 2523}, {128, -351}, {255, -60}},
     4612,
     784420},
    {GgmlType::iq4_xs,
     {{0, 65}, {1, -1}, {16, 65}, {31, 35}, {32, 455}, {100, 40}, {128, -585}, {255, -16}},
     -11005,
     -2091134},
};

TEST(GgufBlocks, GoldenValues) {
  ASSERT_EQ(std::size(kGolden), std::size(kLayouts));
  for (std::size_t i = 0; i < std::size(kGolden); ++i) {
    const Golden* golden = nullptr;
    for (const Golden& candidate : kGolden) {
      if (candidate.type == kLayouts[i].type) golden = &candidate;
    }
    ASSERT_NE(golden, nullptr);
    const auto name = find_ggml_type(static_cast<std::uint32_t>(golden->type))->name;
    const std::vector<float> values = decode(golden->type, golden_block(kLayouts[i]));
    for (const auto& [element, value] : golden->values) EXPECT_EQ(values[element], value) << name << " " << element;
    double sum = 0.0;
    double weighted = 0.0;
    for (std::size_t e = 0; e < values.size(); ++e) {
      sum += static_cast<double>(values[e]);
      weighted += static_cast<double>(e + 1) * static_cast<double>(values[e]);
    }
    EXPECT_EQ(sum, golden->sum) << name;
    EXPECT_EQ(weighted, golden->weighted) << name;
  }
}

// Scales that are no powers of two round differently if the operations change their order: d s q against d (s q), or a
// fused multiply and add. One value of each shape of formula, worked out in steps.
TEST(GgufBlocks, OperationsKeepTheirOrder) {
  const float d = f16_to_float(float_to_f16(0.1F));
  const float m = f16_to_float(float_to_f16(-0.3F));
  {
    std::vector<std::uint8_t> block(20, 0x77);
    set_half(block, 0, 0.1F);
    set_half(block, 2, -0.3F);
    const volatile float product = d * 7.0F;  // volatile: not to be contracted
    EXPECT_EQ(decode(GgmlType::q4_1, block)[5], product + m);
  }
  {
    std::vector<std::uint8_t> block(210, 0x5A);
    set_half(block, 208, 0.1F);
    const float scale = d * 90.0F;
    // Element 0: low nibble 10, high pair 2: 10 + 32 - 32.
    EXPECT_EQ(decode(GgmlType::q6_k, block)[0], scale * 10.0F);
    // Element 32: the byte 0x5A again, high pair (0x5A >> 2) & 3 = 2.
    EXPECT_EQ(decode(GgmlType::q6_k, block)[32], scale * 10.0F);
    // Element 64: high nibble 5, high pair (0x5A >> 4) & 3 = 1: 5 + 16 - 32.
    EXPECT_EQ(decode(GgmlType::q6_k, block)[64], scale * -11.0F);
  }
  {
    std::vector<std::uint8_t> block(84, 0xB7);
    set_half(block, 80, 0.1F);
    set_half(block, 82, 0.3F);
    const float dmin = f16_to_float(float_to_f16(0.3F));
    const volatile float product = (d * 7.0F) * 3.0F;
    const volatile float offset = dmin * 11.0F;
    EXPECT_EQ(decode(GgmlType::q2_k, block)[0], product - offset);
  }
}

// A second way to write the layouts: element by element from the published formulas, no runs, no shared helpers.
float formula(GgmlType type, const std::vector<std::uint8_t>& b, int i) {
  const auto half = [&b](int at) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, b.data() + at, 2);
    return f16_to_float(bits);
  };
  const auto at = [&b](int index) { return static_cast<int>(b[static_cast<std::size_t>(index)]); };
  const auto nibble = [](int byte, int high) { return high != 0 ? byte >> 4 : byte & 15; };
  const auto pair = [&at](int j, int base) {  // six-bit scale and min
    const auto s = [&at, base](int k) { return at(base + k); };
    if (j < 4) return std::pair(s(j) & 63, s(j + 4) & 63);
    return std::pair((s(j + 4) & 15) | (s(j - 4) >> 6) << 4, (s(j + 4) >> 4) | (s(j) >> 6) << 4);
  };
  constexpr int kLevels[] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
  const auto f = [](int value) { return static_cast<float>(value); };
  switch (type) {
    case GgmlType::q4_0: return f(nibble(at(2 + i % 16), i / 16) - 8) * half(0);
    case GgmlType::q4_1: return f(nibble(at(4 + i % 16), i / 16)) * half(0) + half(2);
    case GgmlType::q5_0: return f(nibble(at(6 + i % 16), i / 16) + 16 * (at(2 + i / 8) >> i % 8 & 1) - 16) * half(0);
    case GgmlType::q5_1:
      return f(nibble(at(8 + i % 16), i / 16) + 16 * (at(4 + i / 8) >> i % 8 & 1)) * half(0) + half(2);
    case GgmlType::q8_0: return f(static_cast<std::int8_t>(at(2 + i))) * half(0);
    case GgmlType::iq4_nl: return f(kLevels[nibble(at(2 + i % 16), i / 16)]) * half(0);
    case GgmlType::q2_k: {
      const int q = at(16 + 32 * (i / 128) + i % 32) >> 2 * (i % 128 / 32) & 3;
      return half(80) * f(at(i / 16) & 15) * f(q) - half(82) * f(at(i / 16) >> 4);
    }
    case GgmlType::q3_k: {
      const int j = i / 16;
      const int low = j < 8 ? at(96 + j) & 15 : at(96 + j - 8) >> 4;
      const int scale = low + 16 * (at(96 + 8 + j % 4) >> 2 * (j / 4) & 3) - 32;
      const int q = at(32 + 32 * (i / 128) + i % 32) >> 2 * (i % 128 / 32) & 3;
      return half(108) * f(scale) * f(q - ((at(i % 32) >> i / 32 & 1) != 0 ? 0 : 4));
    }
    case GgmlType::q4_k: {
      const auto [scale, min] = pair(i / 32, 4);
      return half(0) * f(scale) * f(nibble(at(16 + 32 * (i / 64) + i % 32), i / 32 & 1)) - half(2) * f(min);
    }
    case GgmlType::q5_k: {
      const auto [scale, min] = pair(i / 32, 4);
      const int q = nibble(at(48 + 32 * (i / 64) + i % 32), i / 32 & 1) + 16 * (at(16 + i % 32) >> i / 32 & 1);
      return half(0) * f(scale) * f(q) - half(2) * f(min);
    }
    case GgmlType::q6_k: {
      const int h = i / 128;
      const int t = i % 128 / 32;
      const int l = i % 32;
      const int q = nibble(at(64 * h + 32 * (t & 1) + l), t >> 1) + 16 * (at(128 + 32 * h + l) >> 2 * t & 3);
      return half(208) * f(static_cast<std::int8_t>(at(192 + i / 16))) * f(q - 32);
    }
    case GgmlType::iq4_xs: {
      const int part = i / 32;
      const int high = (at(2) | at(3) << 8) >> 2 * part & 3;
      const int scale = nibble(at(4 + part / 2), part % 2) + 16 * high - 32;
      return half(0) * f(scale) * f(kLevels[nibble(at(8 + 16 * part + i % 16), i % 32 / 16)]);
    }
    default: return 0.0F;
  }
}

TEST(GgufBlocks, RandomBlocksAgreeBitForBitWithTheFormulas) {
  CounterRng rng(3, "gguf blocks");
  for (const Layout& layout : kLayouts) {
    const GgmlTypeTraits* traits = find_ggml_type(static_cast<std::uint32_t>(layout.type));
    for (int round = 0; round < 200; ++round) {
      std::vector<std::uint8_t> block(static_cast<std::size_t>(traits->bytes_per_block));
      for (auto& byte : block) byte = static_cast<std::uint8_t>(rng.next_u64());
      // Any finite half, subnormal ones and zeros of both signs too.
      for (const int place : {layout.d, layout.m}) {
        if (place >= 0) block[static_cast<std::size_t>(place) + 1] &= 0xFB;
      }
      const std::vector<float> values = decode(layout.type, block);
      for (int i = 0; i < traits->elements_per_block; ++i) {
        const float value = values[static_cast<std::size_t>(i)];
        const float wanted = formula(layout.type, block, i);
        ASSERT_EQ(std::bit_cast<std::uint32_t>(value), std::bit_cast<std::uint32_t>(wanted))
            << traits->name << " " << i;
      }
    }
  }
}

TEST(GgufBlocks, BlocksAreIndependentOfTheirNeighboursAndOfAlignment) {
  CounterRng rng(4, "gguf rows");
  for (const GgmlTypeTraits& traits : ggml_types()) {
    if (!traits.decodable) continue;
    constexpr std::size_t kBlocks = 7;
    const auto block_bytes = static_cast<std::size_t>(traits.bytes_per_block);
    const auto block_elements = static_cast<std::size_t>(traits.elements_per_block);
    std::vector<std::byte> shifted(kBlocks * block_bytes + 1);
    for (auto& byte : shifted) byte = static_cast<std::byte>(rng.below(0x3C));  // no infinities: bytes below 0x7C
    const std::span<const std::byte> row = std::span(shifted).subspan(1);       // an odd address
    std::vector<float> whole(kBlocks * block_elements);
    ASSERT_TRUE(dequantize_gguf(traits.type, row, whole).ok()) << traits.name;
    for (std::size_t i = 0; i < kBlocks; ++i) {
      std::vector<float> one(block_elements);
      ASSERT_TRUE(dequantize_gguf(traits.type, row.subspan(i * block_bytes, block_bytes), one).ok());
      EXPECT_EQ(std::memcmp(one.data(), whole.data() + i * block_elements, one.size() * sizeof(float)), 0)
          << traits.name;
    }
  }
}

TEST(GgufBlocks, PlainTypesOfAnyLength) {
  for (const std::size_t size : {1U, 511U, 512U, 513U, 1025U}) {
    std::vector<std::uint16_t> halves(size);
    for (std::size_t i = 0; i < size; ++i) halves[i] = static_cast<std::uint16_t>(0x3C00 + i % 1024);
    std::vector<float> f16(size);
    std::vector<float> bf16(size);
    ASSERT_TRUE(dequantize_gguf(GgmlType::f16, std::as_bytes(std::span(halves)), f16).ok());
    ASSERT_TRUE(dequantize_gguf(GgmlType::bf16, std::as_bytes(std::span(halves)), bf16).ok());
    for (std::size_t i = 0; i < size; ++i) {
      ASSERT_EQ(f16[i], f16_to_float(halves[i]));
      ASSERT_EQ(bf16[i], bf16_to_float(halves[i]));
    }
    std::vector<float> copy(size);
    ASSERT_TRUE(dequantize_gguf(GgmlType::f32, std::as_bytes(std::span(f16)), copy).ok());
    EXPECT_EQ(copy, f16);
  }
}

TEST(GgufBlocks, WrongSizesAndTypesAreErrors) {
  std::vector<std::byte> bytes(18);
  std::vector<float> out(32);
  EXPECT_TRUE(dequantize_gguf(GgmlType::q4_0, bytes, out).ok());
  EXPECT_TRUE(dequantize_gguf(GgmlType::q4_0, {}, {}).ok());
  EXPECT_EQ(dequantize_gguf(GgmlType::q4_0, std::span(bytes).first(17), out).error().fault, Fault::corrupt);
  EXPECT_FALSE(dequantize_gguf(GgmlType::q4_0, bytes, std::span(out).first(31)).ok());
  EXPECT_FALSE(dequantize_gguf(GgmlType::q4_0, bytes, {}).ok());
  EXPECT_FALSE(dequantize_gguf(GgmlType::q4_0, {}, out).ok());
  for (const GgmlType type : {GgmlType::iq2_xxs, GgmlType::q8_1, GgmlType::mxfp4, static_cast<GgmlType>(99)}) {
    const Status refused = dequantize_gguf(type, bytes, out);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().fault, Fault::unsupported);
  }
}

}  // namespace
}  // namespace quernel::codec
