#include "quant/loss.h"

#include <gtest/gtest.h>

#include <cmath>

#include "quant/samples.h"

namespace quernel::quant {
namespace {

// The definition, in double.
Loss expected_loss(const Matrix& weight, const codec::IntegerMatrix& matrix, const LayerStats* stats) {
  const Matrix values = codec::dequantize(matrix);
  double error = 0.0, size = 0.0, error_trace = 0.0, size_trace = 0.0;
  for (std::int64_t row = 0; row < weight.rows(); ++row) {
    for (std::int64_t i = 0; i < weight.cols(); ++i) {
      const double w = weight(row, i);
      const double e = w - values(row, i);
      error += e * e;
      size += w * w;
      for (std::int64_t j = 0; stats != nullptr && j < weight.cols(); ++j) {
        const double h = stats->hessian(i, j);
        error_trace += e * h * (static_cast<double>(weight(row, j)) - values(row, j));
        size_trace += w * h * weight(row, j);
      }
    }
  }
  return {stats != nullptr ? error_trace / size_trace : error / size, std::sqrt(error / size)};
}

codec::IntegerMatrix rounded(const Matrix& weight) {
  return test::quantize("rtn", weight, nullptr, "group-size=16 scale-dtype=f32").value().matrix;
}

TEST(Loss, MatchesTheDefinition) {
  sys::ThreadPool pool(2);
  struct Shape {
    std::int64_t rows, cols;
  };
  for (const auto& [rows, cols] : {Shape{1, 1}, Shape{3, 40}, Shape{50, 300}, Shape{97, 257}}) {
    const Matrix weight = test::normal_matrix(rows, cols, 1);
    const codec::IntegerMatrix matrix = rounded(weight);
    const LayerStats stats = test::correlated_stats(cols, 64, 2);
    const Loss expected = expected_loss(weight, matrix, &stats);
    const Loss found = measure_loss(weight, matrix, &stats, pool);
    EXPECT_NEAR(found.relative_loss, expected.relative_loss, 1e-5 * expected.relative_loss + 1e-12);
    EXPECT_NEAR(found.relative_error, expected.relative_error, 1e-6);
    const Loss plain = measure_loss(weight, matrix, nullptr, pool);
    EXPECT_NEAR(plain.relative_loss, expected.relative_error * expected.relative_error, 1e-7);
  }
}

TEST(Loss, DoesNotDependOnThreads) {
  const Matrix weight = test::normal_matrix(200, 130, 3);
  const codec::IntegerMatrix matrix = rounded(weight);
  const LayerStats stats = test::correlated_stats(130, 64, 4);
  sys::ThreadPool one(1);
  const Loss expected = measure_loss(weight, matrix, &stats, one);
  for (const int threads : {2, 3, 4}) {
    sys::ThreadPool pool(threads);
    const Loss found = measure_loss(weight, matrix, &stats, pool);
    EXPECT_EQ(found.relative_loss, expected.relative_loss);
    EXPECT_EQ(found.relative_error, expected.relative_error);
  }
}

TEST(Loss, DoesNotDependOnTheSizeOfWeightsAndInputs) {
  sys::ThreadPool pool(1);
  const Matrix weight = test::normal_matrix(20, 60, 5);
  const LayerStats stats = test::correlated_stats(60, 90, 6);
  const Loss ordinary = measure_loss(weight, rounded(weight), &stats, pool);
  for (const float size : {1e-35F, 1e36F}) {
    for (const float input_size : {1e-30F, 1.0F, 1e30F}) {
      Matrix scaled = weight.clone();
      for (std::int64_t i = 0; i < scaled.size(); ++i) scaled.data()[i] *= size;
      LayerStats scaled_stats{stats.hessian.clone(), stats.num_tokens};
      for (std::int64_t i = 0; i < stats.hessian.size(); ++i) scaled_stats.hessian.data()[i] *= input_size;
      const Loss found = measure_loss(scaled, rounded(scaled), &scaled_stats, pool);
      EXPECT_NEAR(found.relative_loss, ordinary.relative_loss, 0.05 * ordinary.relative_loss) << size << input_size;
    }
  }
}

TEST(Loss, OfNothingIsNothing) {
  sys::ThreadPool pool(1);
  const Matrix zeros(4, 8);
  const Loss loss = measure_loss(zeros, rounded(zeros), nullptr, pool);
  EXPECT_EQ(loss.relative_loss, 0.0);
  EXPECT_EQ(loss.relative_error, 0.0);
}

TEST(Loss, FallsBackToPlainErrorWhereTheHessianSaysNothing) {
  sys::ThreadPool pool(1);
  const Matrix weight = test::normal_matrix(4, 8, 7);
  const codec::IntegerMatrix matrix = rounded(weight);
  const double plain = measure_loss(weight, matrix, nullptr, pool).relative_loss;
  LayerStats stats{Matrix(8, 8), 0};
  EXPECT_EQ(measure_loss(weight, matrix, &stats, pool).relative_loss, plain);
  stats.hessian(1, 1) = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(measure_loss(weight, matrix, &stats, pool).relative_loss, plain);
}

}  // namespace
}  // namespace quernel::quant
