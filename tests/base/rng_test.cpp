#include "base/rng.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace quernel {
namespace {

// The known-answer vectors that the authors of Philox publish.
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({~0U, ~0U, ~0U, ~0U}, {~0U, ~0U}),
            (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(CounterRng, SameNameSameNumbersOtherNameOthers) {
  CounterRng a(42, "layers.0");
  CounterRng b(42, "layers.0");
  CounterRng c(42, "layers.1");
  CounterRng d(43, "layers.0");
  for (int i = 0; i < 100; ++i) {
    const auto draw = a.next_u64();
    EXPECT_EQ(draw, b.next_u64());
    EXPECT_NE(draw, c.next_u64());
    EXPECT_NE(draw, d.next_u64());
  }
}

TEST(CounterRng, BelowIsUniform) {
  constexpr int kDraws = 60000;
  constexpr int kSides = 6;
  CounterRng rng(1, "dice");
  std::array<int, kSides> counts{};
  for (int i = 0; i < kDraws; ++i) ++counts.at(rng.below(kSides));
  double chi_square = 0;
  for (const int count : counts) chi_square += std::pow(count - kDraws / kSides, 2) / (kDraws / kSides);
  EXPECT_LT(chi_square, 20.5);  // 5 degrees of freedom: passed by 99.9 % of fair dice
}

TEST(CounterRng, NormalHasMeanZeroAndVarianceOne) {
  constexpr int kDraws = 100000;
  CounterRng rng(2, "normal");
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double draw = rng.normal();
    ASSERT_TRUE(std::isfinite(draw));
    sum += draw;
    squares += draw * draw;
  }
  EXPECT_NEAR(sum / kDraws, 0.0, 0.015);
  EXPECT_NEAR(squares / kDraws, 1.0, 0.02);
}

}  // namespace
}  // namespace quernel
