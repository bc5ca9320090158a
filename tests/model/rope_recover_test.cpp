#include "model/rope_recover.h"

#include <gtest/gtest.h>

namespace quernel::model {
namespace {

std::vector<float> table(const Llama3Scaling& scaling, double theta, std::int64_t rotary_dim) {
  std::vector<float> out;
  for (std::int64_t i = 0; i < rotary_dim / 2; ++i)
    out.push_back(static_cast<float>(llama3_divisor(scaling, theta, rotary_dim, i)));
  return out;
}

// Llama 3.1 8B, computed apart from this code by the published rule.
TEST(RopeRecover, DivisorsOfLlama31) {
  const Llama3Scaling scaling{.factor = 8.0};
  EXPECT_EQ(llama3_divisor(scaling, 500000.0, 128, 0), 1.0);
  EXPECT_EQ(llama3_divisor(scaling, 500000.0, 128, 28), 1.0);
  EXPECT_NEAR(llama3_divisor(scaling, 500000.0, 128, 29), 1.207483871283662, 1e-12);
  EXPECT_NEAR(llama3_divisor(scaling, 500000.0, 128, 32), 2.6945296878947333, 1e-12);
  EXPECT_EQ(llama3_divisor(scaling, 500000.0, 128, 35), 8.0);
  EXPECT_EQ(llama3_divisor(scaling, 500000.0, 128, 63), 8.0);
}

TEST(RopeRecover, PublishedConstantsComeBack) {
  for (const double factor : {8.0, 32.0}) {
    for (const std::int64_t dim : {64, 128}) {
      const auto found = recover_llama3(table({.factor = factor}, 500000.0, dim), 500000.0);
      ASSERT_TRUE(found.has_value());
      EXPECT_EQ(found->factor, factor);
      EXPECT_EQ(found->low_freq_factor, 1.0);
      EXPECT_EQ(found->high_freq_factor, 4.0);
      EXPECT_EQ(found->original_context, 8192.0);
    }
  }
}

TEST(RopeRecover, OtherConstantsComeBackUpToTheirCommonScale) {
  const Llama3Scaling odd{.factor = 6.0, .low_freq_factor = 2.0, .high_freq_factor = 8.0, .original_context = 8192.0};
  const auto divisors = table(odd, 500000.0, 128);
  const auto found = recover_llama3(divisors, 500000.0);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->high_freq_factor / found->low_freq_factor, 4.0);
  const auto again = table(*found, 500000.0, 128);
  for (std::size_t i = 0; i < divisors.size(); ++i) EXPECT_NEAR(again[i], divisors[i], 1e-5 * divisors[i]);
}

TEST(RopeRecover, OtherTablesAreNotForced) {
  EXPECT_FALSE(recover_llama3({}, 500000.0).has_value());
  EXPECT_FALSE(recover_llama3({1, 1, 1, 1}, 500000.0).has_value());
  EXPECT_FALSE(recover_llama3({1, 2, 3, 4, 5, 6, 7, 8}, 500000.0).has_value());
  auto divisors = table({.factor = 8.0}, 500000.0, 128);
  divisors[30] *= 1.001F;
  EXPECT_FALSE(recover_llama3(divisors, 500000.0).has_value());
}

}  // namespace
}  // namespace quernel::model
