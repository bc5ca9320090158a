#include "quant/solver.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "quant/integer_grid.h"
#include "quant/samples.h"

namespace quernel::quant {
namespace {

// The whole numbers, without bounds: on this grid GPTQ is Babai's nearest plane.
class WholeNumbers final : public Grid {
 public:
  WholeNumbers(std::int64_t rows, std::int64_t cols) : values(rows, cols) {}
  void round_column(RowTile tile, std::int64_t column, const float* target, float* value) override {
    for (std::int64_t i = 0; i < tile.lanes; ++i) {
      value[i] = std::nearbyint(target[i]);
      if (i < tile.count) values(tile.first + i, column) = value[i];
    }
  }
  Matrix values;
};

// Babai: the coordinates of H's lattice from last to first, each to the nearest plane given those behind it.
std::vector<double> nearest_plane(std::span<const float> weight, const MatrixF64& factor) {
  const auto cols = static_cast<std::int64_t>(weight.size());
  std::vector<double> nearest(weight.size());
  for (std::int64_t k = cols - 1; k >= 0; --k) {
    double shift = 0.0;
    for (std::int64_t j = k + 1; j < cols; ++j) {
      shift += factor(k, j) * (weight[static_cast<std::size_t>(j)] - nearest[static_cast<std::size_t>(j)]);
    }
    nearest[static_cast<std::size_t>(k)] = std::nearbyint(weight[static_cast<std::size_t>(k)] + shift / factor(k, k));
  }
  return nearest;
}

// R upper triangular with matrix = R^T R.
MatrixF64 upper_cholesky(const MatrixF64& matrix) {
  const std::int64_t n = matrix.rows();
  MatrixF64 upper(n, n);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = i; j < n; ++j) {
      double sum = matrix(i, j);
      for (std::int64_t k = 0; k < i; ++k) sum -= upper(k, i) * upper(k, j);
      upper(i, j) = i == j ? std::sqrt(sum) : sum / upper(i, i);
    }
  }
  return upper;
}

TEST(Solver, IsBabaisNearestPlaneBackToFront) {
  const std::int64_t cols = 24;
  sys::ThreadPool pool(1);
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const LayerStats stats = test::correlated_stats(cols, 60, 100 + seed);
    Matrix weight = test::normal_matrix(3, cols, 200 + seed);
    for (std::int64_t i = 0; i < weight.size(); ++i) weight.data()[i] *= 4;
    SolverSpec solver;
    solver.order = ColumnOrder::natural;
    const PreparedHessian prepared = prepare_hessian(stats, GridSpec{}, solver).value();
    WholeNumbers grid(3, cols);
    ASSERT_TRUE(solve(weight, prepared, grid, pool));

    double mean = 0.0;
    for (std::int64_t k = 0; k < cols; ++k) mean += stats.hessian(k, k) / static_cast<double>(cols);
    MatrixF64 reversed(cols, cols);
    for (std::int64_t i = 0; i < cols; ++i) {
      for (std::int64_t j = 0; j < cols; ++j) {
        reversed(i, j) = stats.hessian(cols - 1 - i, cols - 1 - j) / mean + (i == j ? solver.damp : 0.0);
      }
    }
    const MatrixF64 factor = upper_cholesky(reversed);
    for (std::int64_t row = 0; row < 3; ++row) {
      std::vector<float> target(static_cast<std::size_t>(cols));
      for (std::int64_t k = 0; k < cols; ++k) target[static_cast<std::size_t>(k)] = weight(row, cols - 1 - k);
      const std::vector<double> expected = nearest_plane(target, factor);
      for (std::int64_t k = 0; k < cols; ++k) {
        ASSERT_EQ(grid.values(row, cols - 1 - k), expected[static_cast<std::size_t>(k)]) << "seed " << seed;
      }
    }
  }
}

struct Golden {
  std::string name;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t tokens = 0;
  std::vector<int> dead;
  std::string options;
  std::string groups;
  std::string zero_points;
  double scale_sum = 0.0;
  std::string codes;
};

const Golden kGolden[] = {
#include "quant/gptq_golden.inc"
};

std::string hex(const auto& values, bool two_digits) {
  const char* digits = "0123456789abcdef";
  std::string text;
  for (const auto value : values) {
    if (two_digits) text += digits[static_cast<unsigned>(value) >> 4U];
    text += digits[static_cast<unsigned>(value) & 15U];
  }
  return text;
}

class GoldenTest : public ::testing::TestWithParam<std::size_t> {};

TEST_P(GoldenTest, AgreesWithTheReferenceInDouble) {
  const Golden& golden = kGolden[GetParam()];
  SCOPED_TRACE(golden.name);
  const Matrix weight = test::lcg_weight(1000 + GetParam(), golden.rows, golden.cols);
  const LayerStats stats = test::lcg_stats(2000 + GetParam(), golden.cols, golden.tokens, golden.dead);
  sys::ThreadPool pool(2);
  const MethodOutcome outcome = test::quantize("gptq", weight, &stats, golden.options, &pool).value();
  EXPECT_FALSE(outcome.fallback.has_value());
  EXPECT_EQ(outcome.dead_columns, static_cast<std::int64_t>(golden.dead.size()));
  const bool two_digits = outcome.matrix.bits > 4;
  EXPECT_EQ(hex(outcome.matrix.group_of_column, true), golden.groups);
  EXPECT_EQ(hex(outcome.matrix.zero_points, two_digits), golden.zero_points);
  double sum = 0.0;
  for (const float scale : outcome.matrix.scales) sum += scale;
  EXPECT_NEAR(sum, golden.scale_sum, 1e-3 * golden.scale_sum);
  const std::string codes = hex(outcome.matrix.codes, two_digits);
  ASSERT_EQ(codes.size(), golden.codes.size());
  std::int64_t different = 0;
  for (std::size_t i = 0; i < codes.size(); ++i) different += codes[i] != golden.codes[i] ? 1 : 0;
  EXPECT_EQ(different, 0);
}

INSTANTIATE_TEST_SUITE_P(Solver, GoldenTest, ::testing::Range(std::size_t{0}, std::size(kGolden)),
                         [](const auto& golden) { return kGolden[golden.param].name; });

// The same codes for every block size: blocks move work, not results. Sums are in float, so that a tie of two codes could
// fall either way; none of these inputs holds one.
TEST(Solver, BlocksDoNotChangeTheResult) {
  const std::int64_t cols = 150;
  const Matrix weight = test::normal_matrix(60, cols, 1);
  const LayerStats stats = test::correlated_stats(cols, 300, 2);
  for (const char* layout : {"static-groups=true", "static-groups=false", "static-groups=false order=group-aware"}) {
    const std::string options = std::string("group-size=32 ") + layout + " block-size=";
    const auto expected = test::quantize("gptq", weight, &stats, options + "150").value().matrix;
    for (const char* block : {"1", "16", "31", "32", "33", "64", "128", "1000"}) {
      const auto found = test::quantize("gptq", weight, &stats, options + block).value().matrix;
      std::int64_t different = 0;
      for (std::size_t i = 0; i < found.codes.size(); ++i) different += found.codes[i] != expected.codes[i] ? 1 : 0;
      EXPECT_LE(different, 2) << layout << " " << block;
    }
  }
}

TEST(Solver, SaysWhenCompensationLeavesFloat) {
  sys::ThreadPool pool(1);
  Matrix weight = test::normal_matrix(4, 16, 3);
  weight(1, 3) = std::numeric_limits<float>::infinity();
  const PreparedHessian prepared = prepare_hessian(test::correlated_stats(16, 40, 4), GridSpec{}, SolverSpec{}).value();
  WholeNumbers grid(4, 16);
  EXPECT_FALSE(solve(weight, prepared, grid, pool));
}

}  // namespace
}  // namespace quernel::quant
