#include "tensor/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/rng.h"

namespace quernel {
namespace {

// The definition: sign * 2^(e-25) * (1024 + fraction), or a subnormal, in double precision.
double value_of_f16(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 0x1F;
  const int fraction = bits & 0x3FF;
  const double magnitude = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

bool is_finite_f16(std::uint16_t bits) { return (bits & 0x7C00) != 0x7C00; }

TEST(Half, EveryPatternWidensExactly) {
  std::vector<std::uint16_t> patterns(65536);
  for (std::size_t i = 0; i < patterns.size(); ++i) patterns[i] = static_cast<std::uint16_t>(i);
  std::vector<float> rows(patterns.size());
  f16_to_float(patterns, rows);
  for (const std::uint16_t bits : patterns) {
    const float single = f16_to_float(bits);
    ASSERT_EQ(std::bit_cast<std::uint32_t>(single), std::bit_cast<std::uint32_t>(rows[bits])) << bits;
    if (is_finite_f16(bits)) {
      ASSERT_EQ(double{single}, value_of_f16(bits)) << bits;
      ASSERT_EQ(std::signbit(single), (bits & 0x8000) != 0) << bits;
    } else {
      ASSERT_EQ(std::isinf(single), (bits & 0x3FF) == 0) << bits;
      ASSERT_EQ(std::isnan(single), (bits & 0x3FF) != 0) << bits;
    }
  }
}

TEST(Half, EveryPatternComesBack) {
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const bool nan_f16 = !is_finite_f16(bits) && (bits & 0x3FF) != 0;
    ASSERT_EQ(float_to_f16(f16_to_float(bits)), nan_f16 ? bits | 0x200 : bits) << bits;
    const bool nan_bf16 = (bits & 0x7F80) == 0x7F80 && (bits & 0x7F) != 0;
    ASSERT_EQ(float_to_bf16(bf16_to_float(bits)), nan_bf16 ? bits | 0x40 : bits) << bits;
  }
}

// Between two neighbours: the nearer one, at the middle the even one.
template <class Narrow, class Widen>
void check_rounding(std::uint16_t low, Narrow narrow, Widen widen) {
  const auto high = static_cast<std::uint16_t>(low + 1);
  const double middle = (double{widen(low)} + double{widen(high)}) / 2;
  const auto exact_middle = static_cast<float>(middle);
  ASSERT_EQ(double{exact_middle}, middle) << low;
  EXPECT_EQ(narrow(exact_middle), (low & 1) == 0 ? low : high) << low;
  EXPECT_EQ(narrow(std::nextafter(exact_middle, 0.0F)), low) << low;
  EXPECT_EQ(narrow(std::nextafter(exact_middle, std::numeric_limits<float>::infinity())), high) << low;
}

TEST(Half, NarrowingRoundsToNearestEven) {
  for (std::uint16_t low = 0; low < 0x7BFF; ++low)
    check_rounding(low, [](float v) { return float_to_f16(v); }, [](std::uint16_t b) { return f16_to_float(b); });
  for (std::uint16_t low = 0x80; low < 0x7F7F; ++low)
    check_rounding(low, [](float v) { return float_to_bf16(v); }, [](std::uint16_t b) { return bf16_to_float(b); });
}

TEST(Half, OverflowAndEdges) {
  EXPECT_EQ(float_to_f16(65519.996F), 0x7BFF);
  EXPECT_EQ(float_to_f16(65520.0F), 0x7C00);
  EXPECT_EQ(float_to_f16(-65520.0F), 0xFC00);
  EXPECT_EQ(float_to_f16(std::numeric_limits<float>::max()), 0x7C00);
  EXPECT_EQ(float_to_f16(0x1.0p-25F), 0x0000);  // half of the smallest subnormal: ties to even
  EXPECT_EQ(float_to_f16(0x1.000002p-25F), 0x0001);
  EXPECT_EQ(float_to_f16(-0.0F), 0x8000);
  EXPECT_EQ(float_to_f16(std::numeric_limits<float>::denorm_min()), 0x0000);
  EXPECT_EQ(float_to_bf16(std::numeric_limits<float>::max()), 0x7F80);
  EXPECT_TRUE(std::isnan(bf16_to_float(float_to_bf16(std::bit_cast<float>(0x7F800001u)))));  // the low bits only
  EXPECT_TRUE(std::isnan(f16_to_float(float_to_f16(std::bit_cast<float>(0xFF800001u)))));
}

TEST(Half, RowsAgreeWithSingles) {
  CounterRng rng(7, "half rows");
  for (const std::size_t count : {0u, 1u, 3u, 8u, 17u, 64u, 1001u}) {
    std::vector<float> values(count);
    for (float& value : values) value = std::bit_cast<float>(static_cast<std::uint32_t>(rng.next_u64()));
    std::vector<std::uint16_t> half(count), brain(count);
    float_to_f16(values, half);
    float_to_bf16(values, brain);
    for (std::size_t i = 0; i < count; ++i) {
      EXPECT_EQ(half[i], float_to_f16(values[i]));
      EXPECT_EQ(brain[i], float_to_bf16(values[i]));
    }
  }
}

}  // namespace
}  // namespace quernel
