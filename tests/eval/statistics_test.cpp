#include "eval/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace quernel::eval {
namespace {

TEST(Statistics, MeanAndItsError) {
  const std::vector<double> values{2.0, 4.0, 4.0, 6.0};
  const Mean mean = mean_of(values);
  EXPECT_DOUBLE_EQ(mean.value, 4.0);
  EXPECT_DOUBLE_EQ(mean.standard_error, std::sqrt(8.0 / (4 * 3)));
  EXPECT_EQ(mean_of(std::vector<double>{3.0}).standard_error, 0.0);
}

TEST(Statistics, QuantilesLieBetweenOrderStatistics) {
  const std::vector<double> sorted{1.0, 2.0, 4.0, 8.0, 16.0};
  EXPECT_DOUBLE_EQ(quantile(sorted, 0.0), 1.0);
  EXPECT_DOUBLE_EQ(quantile(sorted, 0.5), 4.0);
  EXPECT_DOUBLE_EQ(quantile(sorted, 0.9), 8.0 + 0.6 * 8.0);
  EXPECT_DOUBLE_EQ(quantile(sorted, 1.0), 16.0);
  EXPECT_DOUBLE_EQ(quantile(std::vector<double>{7.0}, 0.99), 7.0);
}

}  // namespace
}  // namespace quernel::eval
