#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "quant/method.h"
#include "quant/samples.h"

namespace quernel::quant {
namespace {

using ::testing::HasSubstr;

double loss_of(const Matrix& weight, const LayerStats* stats, const std::string& options) {
  return test::quantize("rtn", weight, stats, options).value().relative_loss;
}

TEST(Rtn, LosesLessWithMoreBits) {
  const Matrix weight = test::normal_matrix(40, 200, 1);
  for (const char* symmetry : {"asym", "sym", "full-range"}) {
    for (const char* search : {"minmax", "mse"}) {
      double last = 1.0;
      for (const char* bits : {"2", "3", "4", "8"}) {
        const double loss = loss_of(
            weight, nullptr, std::string("group-size=64 bits=") + bits + " symmetry=" + symmetry + " search=" + search);
        EXPECT_LT(loss, 0.5 * last) << bits << symmetry << search;
        last = loss;
      }
    }
  }
}

TEST(Rtn, SearchesLoseLess) {
  const Matrix weight = test::normal_matrix(40, 256, 2);
  const LayerStats stats = test::correlated_stats(256, 300, 3);
  const double plain = loss_of(weight, nullptr, "group-size=64 search=minmax");
  EXPECT_LT(loss_of(weight, nullptr, "group-size=64 search=mse"), plain);
  LayerStats diagonal{Matrix(256, 256), 300};  // what the weighted search sees of H
  for (std::int64_t k = 0; k < 256; ++k) diagonal.hessian(k, k) = stats.hessian(k, k);
  const double unweighted = loss_of(weight, &diagonal, "group-size=64 search=mse");
  EXPECT_LT(loss_of(weight, &diagonal, "group-size=64 search=weighted-mse"), 0.95 * unweighted);
}

TEST(Rtn, FullRangeHelpsAtTwoBits) {
  const Matrix weight = test::normal_matrix(40, 256, 4);
  EXPECT_LT(loss_of(weight, nullptr, "group-size=32 bits=2 symmetry=full-range search=mse"),
            loss_of(weight, nullptr, "group-size=32 bits=2 symmetry=sym search=mse") * 1.001);
}

TEST(Rtn, KeepsWeightsThatLieOnTheGrid) {
  // Each group holds codes 0 and 15, so its range gives back the scale it was made with.
  Matrix weight(6, 96);
  CounterRng rng(5, "grid");
  for (std::int64_t row = 0; row < 6; ++row) {
    for (std::int64_t group = 0; group < 3; ++group) {
      const float scale = std::ldexp(1.0F, static_cast<int>(rng.below(8)) - 9);
      const auto zero_point = static_cast<std::int64_t>(rng.below(16));
      for (std::int64_t k = 0; k < 32; ++k) {
        const std::int64_t code = k == 3 ? 0 : k == 17 ? 15 : static_cast<std::int64_t>(rng.below(16));
        weight(row, group * 32 + k) = scale * static_cast<float>(code - zero_point);
      }
    }
  }
  for (const char* search : {"minmax", "mse", "weighted-mse"}) {
    const std::string options = std::string("group-size=32 search=") + search;
    const auto once = test::quantize("rtn", weight, nullptr, options).value();
    EXPECT_EQ(once.relative_loss, 0.0) << search;
    const Matrix values = codec::dequantize(once.matrix);
    for (std::int64_t i = 0; i < weight.size(); ++i) ASSERT_EQ(values.data()[i], weight.data()[i]);
    const LayerStats stats = test::correlated_stats(96, 200, 6);
    const auto fed_back = test::quantize("gptq", weight, &stats, options).value();
    EXPECT_EQ(fed_back.matrix.codes, once.matrix.codes);
    EXPECT_EQ(fed_back.matrix.scales, once.matrix.scales);
  }
}

TEST(Rtn, NamesTheWeightThatIsNotFinite) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    Matrix weight = test::normal_matrix(4, 64, 7);
    weight(2, 33) = bad;
    const LayerStats stats = test::correlated_stats(64, 100, 8);
    for (const char* method : {"rtn", "gptq"}) {
      const auto outcome = test::quantize(method, weight, &stats, "");
      ASSERT_FALSE(outcome.ok());
      EXPECT_THAT(to_string(outcome.error()), HasSubstr("row 2, column 33"));
    }
  }
}

TEST(Rtn, RefusesWhatDoesNotFit) {
  const Matrix weight = test::normal_matrix(4, 64, 9);
  const LayerStats stats = test::correlated_stats(32, 100, 10);
  EXPECT_THAT(to_string(test::quantize("rtn", weight, &stats, "").error()),
              HasSubstr("expected 64 x 64, found 32 x 32"));
  EXPECT_FALSE(test::quantize("rtn", Matrix(), nullptr, "").ok());
  EXPECT_FALSE(test::quantize("rtn", weight, nullptr, "bits=5").ok());
}

}  // namespace
}  // namespace quernel::quant
