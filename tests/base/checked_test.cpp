#include "base/checked.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace quernel {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

TEST(Checked, AddAndMultiplyAtTheLimit) {
  EXPECT_EQ(checked_add<std::uint64_t>(kMax - 1, 1), kMax);
  EXPECT_EQ(checked_add<std::uint64_t>(kMax, 1), std::nullopt);
  EXPECT_EQ(checked_mul<std::uint64_t>(1ULL << 32, (1ULL << 32) - 1), ((1ULL << 32) - 1) << 32);
  EXPECT_EQ(checked_mul<std::uint64_t>(1ULL << 32, 1ULL << 32), std::nullopt);
  EXPECT_EQ(checked_mul<std::int64_t>(std::numeric_limits<std::int64_t>::min(), -1), std::nullopt);
}

TEST(Checked, CastRefusesWhatDoesNotFit) {
  EXPECT_EQ((checked_cast<std::int32_t>(std::int64_t{1} << 31)), std::nullopt);
  EXPECT_EQ((checked_cast<std::int64_t>(kMax)), std::nullopt);
  EXPECT_EQ((checked_cast<std::uint8_t>(-1)), std::nullopt);
  EXPECT_EQ((checked_cast<std::uint8_t>(255)), 255);
}

TEST(Checked, AlignUp) {
  EXPECT_EQ(checked_align_up<std::uint64_t>(0, 32), 0U);
  EXPECT_EQ(checked_align_up<std::uint64_t>(33, 32), 64U);
  EXPECT_EQ(checked_align_up<std::uint64_t>(kMax, 32), std::nullopt);
}

TEST(Checked, CeilingDivisionDoesNotWrap) {
  EXPECT_EQ(ceil_div<std::int64_t>(7, 4), 2);
  EXPECT_EQ(ceil_div<std::int64_t>(8, 4), 2);
  EXPECT_EQ(ceil_div<std::int64_t>(std::numeric_limits<std::int64_t>::max(), 2), std::int64_t{1} << 62);
}

}  // namespace
}  // namespace quernel
