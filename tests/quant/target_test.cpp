#include "quant/target.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "quant/samples.h"

namespace quernel::quant {
namespace {

// Inputs of both streams, and the residual stream's own drift.
struct Streams {
  Matrix x, reference, stream_drift;  // [tokens, cols], [tokens, cols], [tokens, rows]
};

Streams make_streams(std::int64_t tokens, std::int64_t rows, std::int64_t cols) {
  Streams streams{test::normal_matrix(tokens, cols, 1), test::normal_matrix(tokens, cols, 2),
                  test::normal_matrix(tokens, rows, 3)};
  for (std::int64_t t = 0; t < tokens; ++t) {
    for (std::int64_t k = 1; k < cols; ++k) streams.x(t, k) = streams.x(t, k) * 0.5F + streams.x(t, k - 1);
    for (std::int64_t k = 0; k < cols; ++k) {
      streams.reference(t, k) = streams.x(t, k) + 0.2F * streams.reference(t, k) + 0.1F * streams.x(t, (k + 3) % cols);
    }
  }
  return streams;
}

double product(const Matrix& a, std::int64_t i, const Matrix& b, std::int64_t j) {
  double sum = 0.0;
  for (std::int64_t t = 0; t < a.rows(); ++t) sum += static_cast<double>(a(t, i)) * b(t, j);
  return sum;
}

LayerStats stats_with_input_drift(const Streams& streams) {
  LayerStats stats = test::stats_of(streams.x);
  const std::int64_t cols = streams.x.cols();
  stats.input_drift = Matrix(cols, cols);
  for (std::int64_t i = 0; i < cols; ++i) {
    for (std::int64_t j = 0; j < cols; ++j) {
      stats.input_drift(i, j) =
          static_cast<float>(product(streams.reference, i, streams.x, j) - product(streams.x, i, streams.x, j));
    }
  }
  return stats;
}

LayerStats stats_with_output_drift(const Streams& streams, const Matrix& weight) {
  LayerStats stats = stats_with_input_drift(streams);
  const std::int64_t cols = streams.x.cols();
  Matrix drift(weight.rows(), cols);
  for (std::int64_t row = 0; row < weight.rows(); ++row) {
    for (std::int64_t j = 0; j < cols; ++j) {
      double sum = product(streams.stream_drift, row, streams.x, j);
      for (std::int64_t k = 0; k < cols; ++k) sum += static_cast<double>(weight(row, k)) * stats.input_drift(k, j);
      drift(row, j) = static_cast<float>(sum);
    }
  }
  stats.input_drift = Matrix();
  stats.output_drift = std::move(drift);
  return stats;
}

// Sum over tokens |W x_ref (+ stream) - T x|^2 + lambda |T - W|^2 of one row, from the tokens themselves, in double.
double objective(const Streams& streams, bool with_stream, const Matrix& weight, const Matrix& target, std::int64_t row,
                 double lambda) {
  double total = 0.0;
  for (std::int64_t t = 0; t < streams.x.rows(); ++t) {
    double error = with_stream ? streams.stream_drift(t, row) : 0.0;
    for (std::int64_t k = 0; k < weight.cols(); ++k) {
      error += static_cast<double>(weight(row, k)) * streams.reference(t, k) -
               static_cast<double>(target(row, k)) * streams.x(t, k);
    }
    total += error * error;
  }
  for (std::int64_t k = 0; k < weight.cols(); ++k) {
    const double change = static_cast<double>(target(row, k)) - weight(row, k);
    total += lambda * change * change;
  }
  return total;
}

TEST(Target, MinimisesTheErrorOfDriftedInputs) {
  const std::int64_t rows = 5;
  const std::int64_t cols = 20;
  const Matrix weight = test::normal_matrix(rows, cols, 4);
  const Streams streams = make_streams(90, rows, cols);
  sys::ThreadPool pool(2);
  for (const bool with_stream : {false, true}) {
    const LayerStats stats = with_stream ? stats_with_output_drift(streams, weight) : stats_with_input_drift(streams);
    const PreparedHessian prepared = prepare_hessian(stats, GridSpec{}, SolverSpec{}).value();
    Matrix target = corrected_target(weight, stats, prepared, 1.0, pool);
    ASSERT_EQ(target.rows(), rows);
    const double lambda = prepared.damp * prepared.mean;
    for (std::int64_t row = 0; row < rows; ++row) {
      const double least = objective(streams, with_stream, weight, target, row, lambda);
      EXPECT_LT(least, 0.9 * objective(streams, with_stream, weight, weight, row, lambda));
      for (std::int64_t k = 0; k < cols; ++k) {  // its derivative vanishes: both sides rise alike
        const float kept = target(row, k);
        target(row, k) = kept + 0.05F;
        const double above = objective(streams, with_stream, weight, target, row, lambda) - least;
        target(row, k) = kept - 0.05F;
        const double below = objective(streams, with_stream, weight, target, row, lambda) - least;
        target(row, k) = kept;
        EXPECT_GT(above, 0.0);
        EXPECT_NEAR(above, below, 1e-2 * above);
      }
    }
  }
}

TEST(Target, StrengthInterpolatesAndNoDriftChangesNothing) {
  const Matrix weight = test::normal_matrix(3, 20, 4);
  const Streams streams = make_streams(90, 3, 20);
  LayerStats stats = stats_with_input_drift(streams);
  sys::ThreadPool pool(1);
  const PreparedHessian prepared = prepare_hessian(stats, GridSpec{}, SolverSpec{}).value();
  const Matrix whole = corrected_target(weight, stats, prepared, 1.0, pool);
  const Matrix half = corrected_target(weight, stats, prepared, 0.5, pool);
  for (std::int64_t i = 0; i < whole.size(); ++i) {
    EXPECT_NEAR(half.data()[i] - weight.data()[i], 0.5 * (whole.data()[i] - weight.data()[i]), 1e-5);
  }
  EXPECT_TRUE(corrected_target(weight, stats, prepared, 0.0, pool).empty());
  stats.input_drift.fill(0.0F);
  const Matrix same = corrected_target(weight, stats, prepared, 1.0, pool);
  for (std::int64_t i = 0; i < same.size(); ++i) EXPECT_EQ(same.data()[i], weight.data()[i]);
  stats.input_drift = Matrix();
  EXPECT_TRUE(corrected_target(weight, stats, prepared, 1.0, pool).empty());
}

TEST(Target, DeadColumnsKeepTheirWeight) {
  const Matrix weight = test::normal_matrix(3, 20, 4);
  Streams streams = make_streams(90, 3, 20);
  for (std::int64_t t = 0; t < 90; ++t) streams.x(t, 7) = 0.0F;
  const LayerStats stats = stats_with_input_drift(streams);
  sys::ThreadPool pool(1);
  const PreparedHessian prepared = prepare_hessian(stats, GridSpec{}, SolverSpec{}).value();
  const Matrix target = corrected_target(weight, stats, prepared, 1.0, pool);
  for (std::int64_t row = 0; row < 3; ++row) EXPECT_EQ(target(row, 7), weight(row, 7));
}

// The whole method: the codes serve drifted inputs better than codes of the weight itself.
TEST(Target, LowersTheErrorOfDriftedInputsAfterRounding) {
  const std::int64_t rows = 24;
  const std::int64_t cols = 64;
  const Matrix weight = test::normal_matrix(rows, cols, 5);
  const Streams streams = make_streams(300, rows, cols);
  const LayerStats stats = stats_with_input_drift(streams);
  double errors[2] = {0.0, 0.0};
  for (const int corrected : {0, 1}) {
    const auto outcome = test::quantize("gptq", weight, &stats,
                                        std::string("group-size=32 target=") + (corrected == 1 ? "inputs" : "weight"))
                             .value();
    const Matrix values = codec::dequantize(outcome.matrix);
    for (std::int64_t row = 0; row < rows; ++row)
      errors[corrected] += objective(streams, false, weight, values, row, 0.0);
  }
  EXPECT_LT(errors[1], 0.9 * errors[0]);
}

}  // namespace
}  // namespace quernel::quant
