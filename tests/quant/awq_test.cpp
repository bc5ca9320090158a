#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/rng.h"
#include "codec/integer_matrix.h"
#include "quant/methods.h"

namespace quernel::quant {
namespace {

Matrix normals(std::int64_t rows, std::int64_t cols, std::uint64_t seed) {
  Matrix out(rows, cols);
  CounterRng rng(seed, "awq test");
  for (std::int64_t i = 0; i < out.size(); ++i) out.data()[i] = static_cast<float>(rng.normal());
  return out;
}

// Heavy tails: clipping gains.
Matrix heavy(std::int64_t rows, std::int64_t cols, std::uint64_t seed) {
  Matrix out = normals(rows, cols, seed);
  for (std::int64_t i = 0; i < out.size(); i += 13) out.data()[i] *= 4.0F;
  return out;
}

LayerStats stats_of(const Matrix& x) {
  LayerStats stats;
  stats.hessian = Matrix(x.cols(), x.cols());
  for (std::int64_t i = 0; i < x.cols(); ++i)
    for (std::int64_t j = 0; j < x.cols(); ++j) {
      double sum = 0;
      for (std::int64_t t = 0; t < x.rows(); ++t) sum += double{x(t, i)} * double{x(t, j)};
      stats.hessian(i, j) = static_cast<float>(sum);
    }
  stats.num_tokens = x.rows();
  return stats;
}

GridSpec grid_of(int bits, std::int64_t group, Symmetry symmetry = Symmetry::asymmetric) {
  GridSpec grid;
  grid.bits = bits;
  grid.group_size = group;
  grid.symmetry = symmetry;
  grid.scale_dtype = DType::f32;
  return grid;
}

MethodOutcome run(const Matrix& weight, const LayerStats& stats, const GridSpec& grid, std::int64_t score_rows = 0) {
  MethodInput input;
  input.weight = weight;
  input.stats = &stats;
  input.grid = grid;
  input.score_rows = score_rows;
  auto outcome = run_awq(input);
  EXPECT_TRUE(outcome.ok()) << to_string(outcome.error());
  return std::move(outcome).value();
}

struct Clipped {
  double scale = 0, zero = 0, loss = std::numeric_limits<double>::infinity();
};

// The paper's search with the tokens themselves: ten ranges, squared error of the group's share of the output.
Clipped naive_clip(const Matrix& weight, const Matrix& x, std::int64_t row, std::int64_t first, std::int64_t end,
                   int bits) {
  double largest = 0;
  for (std::int64_t k = first; k < end; ++k) largest = std::max(largest, std::abs(double{weight(row, k)}));
  Clipped best;
  const double codes = (1 << bits) - 1;
  for (int i = 0; i < 10; ++i) {
    const double limit = largest * (1.0 - i / 20.0);
    double low = 0;
    double high = 0;
    for (std::int64_t k = first; k < end; ++k) {
      low = std::min(low, std::clamp(double{weight(row, k)}, -limit, limit));
      high = std::max(high, std::clamp(double{weight(row, k)}, -limit, limit));
    }
    Clipped trial{(high - low) / codes, 0, 0};
    trial.zero = std::nearbyint(-low / trial.scale);
    for (std::int64_t t = 0; t < x.rows(); ++t) {
      double gap = 0;
      for (std::int64_t k = first; k < end; ++k) {
        const double code = std::clamp(std::nearbyint(weight(row, k) / trial.scale) + trial.zero, 0.0, codes);
        gap += ((code - trial.zero) * trial.scale - weight(row, k)) * x(t, k);
      }
      trial.loss += gap * gap;
    }
    if (trial.loss < best.loss) best = trial;
  }
  return best;
}

TEST(Awq, ClipsAsThePapersSearchDoes) {
  const Matrix weight = heavy(20, 40, 1);  // two tasks of rows, a short last group
  const Matrix x = normals(100, 40, 2);
  for (const int bits : {3, 4}) {
    const codec::IntegerMatrix matrix = run(weight, stats_of(x), grid_of(bits, 16)).matrix;
    int narrower = 0;
    for (std::int64_t row = 0; row < 20; ++row)
      for (std::int64_t group = 0; group < 3; ++group) {
        const Clipped expected =
            naive_clip(weight, x, row, group * 16, std::min<std::int64_t>(group * 16 + 16, 40), bits);
        const auto place = static_cast<std::size_t>(row * 3 + group);
        EXPECT_NEAR(matrix.scales[place], expected.scale, 1e-5 * expected.scale) << row << ", " << group;
        EXPECT_EQ(matrix.zero_points[place], expected.zero);
        float low = 0;
        float high = 0;
        for (std::int64_t k = group * 16; k < std::min<std::int64_t>(group * 16 + 16, 40); ++k) {
          low = std::min(low, weight(row, k));
          high = std::max(high, weight(row, k));
        }
        narrower += matrix.scales[place] < 0.99F * (high - low) / static_cast<float>((1 << bits) - 1) ? 1 : 0;
      }
    EXPECT_GT(narrower, 10);  // the search had something to find
  }
}

TEST(Awq, RowsOfQueriesAndKeysKeepTheirRange) {
  const Matrix weight = heavy(8, 32, 3);
  const LayerStats stats = stats_of(normals(60, 32, 4));
  const codec::IntegerMatrix matrix = run(weight, stats, grid_of(4, 32), 5).matrix;
  for (std::int64_t row = 0; row < 5; ++row) {
    const auto values = weight.view().row(row);
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    EXPECT_FLOAT_EQ(matrix.scales[static_cast<std::size_t>(row)], (*high - *low) / 15.0F);
  }
}

TEST(Awq, LosesLessThanTheWholeRange) {
  const Matrix weight = heavy(24, 64, 5);
  const LayerStats stats = stats_of(normals(200, 64, 6));
  for (const Symmetry symmetry : {Symmetry::asymmetric, Symmetry::symmetric}) {
    GridSpec grid = grid_of(4, 32, symmetry);
    const double clipped = run(weight, stats, grid).relative_loss;
    grid.search = ScaleSearch::minmax;
    MethodInput input;
    input.weight = weight;
    input.stats = &stats;
    input.grid = grid;
    EXPECT_LT(clipped, run_rtn(input).value().relative_loss);
  }
}

TEST(Awq, SurvivesDegenerateInput) {
  LayerStats stats = stats_of(normals(40, 32, 1));
  LayerStats dead = stats_of(normals(40, 32, 1));
  for (std::int64_t k = 0; k < 32; ++k) dead.hessian(3, k) = dead.hessian(k, 3) = 0.0F;
  LayerStats none = stats_of(Matrix(4, 32));
  for (const float size : {1e38F, 1e-38F, 1.0F, 0.0F}) {
    Matrix weight = heavy(4, 32, 2);
    for (std::int64_t i = 0; i < weight.size(); ++i)
      weight.data()[i] = std::clamp(weight.data()[i], -3.0F, 3.0F) * size;
    for (const LayerStats* which : {&stats, &dead, &none})
      for (const std::int64_t group : {16, 64, -1}) {
        const Matrix back = codec::dequantize(run(weight, *which, grid_of(4, group)).matrix);
        for (std::int64_t i = 0; i < back.size(); ++i)
          ASSERT_TRUE(std::isfinite(back.data()[i]) && std::abs(back.data()[i]) <= 4.0F * size + 1e-30F);
      }
  }
  EXPECT_EQ(run(heavy(4, 32, 2), dead, grid_of(4, 16)).dead_columns, 1);
  Matrix constant(4, 32);
  constant.fill(0.7F);
  EXPECT_LT(run(constant, stats, grid_of(4, 16)).relative_error, 1e-6);
}

TEST(Awq, DoesNotDependOnThreads) {
  const Matrix weight = heavy(70, 48, 7);
  const LayerStats stats = stats_of(normals(50, 48, 8));
  MethodInput input;
  input.weight = weight;
  input.stats = &stats;
  input.grid = grid_of(4, 16);
  const codec::IntegerMatrix alone = run_awq(input).value().matrix;
  sys::ThreadPool pool(3);
  input.pool = &pool;
  const codec::IntegerMatrix together = run_awq(input).value().matrix;
  EXPECT_EQ(alone.codes, together.codes);
  EXPECT_EQ(alone.scales, together.scales);
}

TEST(Awq, NeedsStatistics) {
  const Matrix weight = heavy(2, 8, 1);
  MethodInput input;
  input.weight = weight;
  input.grid = grid_of(4, 8);
  EXPECT_FALSE(run_awq(input).ok());
}

}  // namespace
}  // namespace quernel::quant
