#include <gtest/gtest.h>

#include <cmath>

#include "quant/method.h"
#include "quant/samples.h"

namespace quernel::quant {
namespace {

constexpr double kNorm = 0.7;

// Sum of |error|^0.7 in steps of `unit`.
double lp_loss(const float* weights, std::int64_t count, double scale, int zero_point, int max_code, double unit) {
  double sum = 0.0;
  for (std::int64_t k = 0; k < count; ++k) {
    const double code = std::min(std::max(std::nearbyint(weights[k] / scale) + zero_point, 0.0), double(max_code));
    sum += std::pow(std::abs(weights[k] - scale * (code - zero_point)) / unit, kNorm);
  }
  return sum;
}

double lp_loss(const Matrix& weight, const codec::IntegerMatrix& matrix) {
  const Matrix values = codec::dequantize(matrix);
  double sum = 0.0;
  for (std::int64_t i = 0; i < weight.size(); ++i) {
    sum += std::pow(std::abs(double(weight.data()[i]) - values.data()[i]), kNorm);
  }
  return sum;
}

// Normal weights with a few far outliers, as trained layers have.
Matrix heavy_tailed(std::int64_t rows, std::int64_t cols, std::uint64_t seed) {
  Matrix weight = test::normal_matrix(rows, cols, seed);
  CounterRng rng(seed, "tail");
  for (std::int64_t i = 0; i < weight.size(); ++i) {
    if (rng.below(40) == 0) weight.data()[i] *= 4.0F;
  }
  return weight;
}

TEST(Hqq, LowersItsOwnErrorAndThatOfTheMatrix) {
  const Matrix weight = heavy_tailed(64, 256, 1);
  for (const char* bits : {"2", "3", "4"}) {
    for (const char* symmetry : {"asym", "sym", "full-range"}) {
      const std::string options = std::string("group-size=64 bits=") + bits + " symmetry=" + symmetry;
      const auto rtn = test::quantize("rtn", weight, nullptr, options + " search=minmax").value();
      const auto hqq = test::quantize("hqq", weight, nullptr, options).value();
      EXPECT_LT(lp_loss(weight, hqq.matrix), lp_loss(weight, rtn.matrix)) << options;
      EXPECT_LT(hqq.relative_error, rtn.relative_error) << options;
      EXPECT_TRUE(codec::validate(hqq.matrix).ok());
    }
  }
}

// Against the best of a fine search over every scale and zero point.
TEST(Hqq, ComesNearTheBestOfAllGrids) {
  constexpr std::int64_t kCount = 32;
  const Matrix weight = heavy_tailed(40, kCount, 2);
  const auto start =
      test::quantize("rtn", weight, nullptr, "group-size=32 bits=3 search=minmax scale-dtype=f32").value();
  const auto found =
      test::quantize("hqq", weight, nullptr, "group-size=32 bits=3 scale-dtype=f32 lp-rounds=100").value();
  double of_start = 0.0, of_found = 0.0, of_best = 0.0;
  for (std::int64_t row = 0; row < weight.rows(); ++row) {
    const float* values = weight.row(row).data();
    const double unit = start.matrix.scales[static_cast<std::size_t>(row)];
    double best = 1e30;
    for (int zero = 0; zero <= 7; ++zero) {
      for (double factor = 0.2; factor < 1.2; factor += 0.002) {
        best = std::min(best, lp_loss(values, kCount, unit * factor, zero, 7, unit));
      }
    }
    const auto at = static_cast<std::size_t>(row);
    of_start += lp_loss(values, kCount, unit, start.matrix.zero_points[at], 7, unit);
    of_found += lp_loss(values, kCount, found.matrix.scales[at], found.matrix.zero_points[at], 7, unit);
    of_best += best;
  }
  EXPECT_LE(of_best, of_found * 1.001);
  EXPECT_LT(of_found, of_start);
  EXPECT_LT(of_found - of_best, 0.9 * (of_start - of_best));  // a local search, under a bound that the other ignores
}

TEST(Hqq, NoRoundsIsPlainRounding) {
  const Matrix weight = heavy_tailed(8, 128, 3);
  const auto rtn = test::quantize("rtn", weight, nullptr, "group-size=64 search=minmax").value();
  const auto hqq = test::quantize("hqq", weight, nullptr, "group-size=64 lp-rounds=0").value();
  EXPECT_EQ(hqq.matrix.codes, rtn.matrix.codes);
  EXPECT_EQ(hqq.matrix.scales, rtn.matrix.scales);
}

TEST(Hqq, SurvivesOddWeights) {
  Matrix weight(6, 70);
  for (std::int64_t k = 0; k < 70; ++k) {
    weight(0, k) = 0.0F;
    weight(1, k) = 3.25F;
    weight(2, k) = k % 2 == 0 ? 1e38F : -1e38F;
    weight(3, k) = 1e-38F * static_cast<float>(k);
    weight(4, k) = k == 5 ? 1.0F : 0.0F;
    weight(5, k) = static_cast<float>(k);
  }
  const auto outcome = test::quantize("hqq", weight, nullptr, "group-size=64 scale-dtype=f32").value();
  ASSERT_TRUE(codec::validate(outcome.matrix).ok());
  const Matrix values = codec::dequantize(outcome.matrix);
  for (std::int64_t i = 0; i < values.size(); ++i) ASSERT_TRUE(std::isfinite(values.data()[i]));
  EXPECT_FALSE(
      test::quantize("hqq", weight, nullptr, "group-size=64 scale-dtype=f16").ok());  // 1e38 needs another type
}

}  // namespace
}  // namespace quernel::quant
