#include "quant/refine.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "quant/prepared_hessian.h"
#include "quant/samples.h"
#include "quant/scale_search.h"

namespace quernel::quant {
namespace {

// H / mean + damp I, in natural order and in double.
MatrixF64 damped(const LayerStats& stats, double damp) {
  const std::int64_t cols = stats.hessian.cols();
  double sum = 0.0;
  std::int64_t live = 0;
  for (std::int64_t k = 0; k < cols; ++k) {
    sum += stats.hessian(k, k);
    live += stats.hessian(k, k) > 0.0F ? 1 : 0;
  }
  MatrixF64 out(cols, cols);
  for (std::int64_t i = 0; i < cols; ++i) {
    for (std::int64_t j = 0; j < cols; ++j) {
      out(i, j) = stats.hessian(i, j) * static_cast<double>(live) / sum + (i == j ? damp : 0.0);
    }
  }
  return out;
}

// The definition: E A E^T of one row, in double.
double row_loss(std::span<const float> target, const codec::IntegerMatrix& matrix, std::int64_t row,
                const MatrixF64& a) {
  std::vector<double> error(target.size());
  for (std::size_t k = 0; k < target.size(); ++k) {
    const auto place = static_cast<std::size_t>(row * matrix.num_groups() + matrix.group_of_column[k]);
    const int level = matrix.codes[static_cast<std::size_t>(row) * target.size() + k] - matrix.zero_points[place];
    error[k] = target[k] - static_cast<double>(matrix.scales[place]) * level;
  }
  double loss = 0.0;
  for (std::int64_t i = 0; i < matrix.cols; ++i) {
    for (std::int64_t j = 0; j < matrix.cols; ++j) {
      loss += error[static_cast<std::size_t>(i)] * a(i, j) * error[static_cast<std::size_t>(j)];
    }
  }
  return loss;
}

struct Case {
  const char* options;
  std::int64_t rows, cols;
  const char* method = "gptq";
};

constexpr Case kCases[] = {
    {"group-size=16 bits=4", 9, 48},
    {"group-size=16 bits=3 symmetry=sym", 9, 48},
    {"group-size=16 bits=2 symmetry=full-range", 20, 40},
    {"group-size=64 bits=4", 130, 150},
    {"group-size=-1 bits=3", 7, 70},
    {"group-size=128 bits=3", 5, 60},
    {"group-size=16 bits=4 static-groups=false", 9, 56},
    {"group-size=32 bits=8 scale-dtype=bf16", 9, 64},
    {"group-size=16 bits=4 search=minmax", 30, 64},
    {"group-size=32 bits=4", 100, 160, "qoq"},
    {"group-size=32 bits=4 symmetry=sym", 20, 96, "qoq"},
    {"group-size=-1 bits=4", 20, 96, "qoq"},
};

TEST(Refine, NeverRaisesTheLossOfARow) {
  for (const Case& each : kCases) {
    for (const char* refinement : {" refine-rounds=1 refine-steps=0", " refine-rounds=4 refine-steps=6"}) {
      SCOPED_TRACE(std::string(each.options) + refinement);
      const Matrix weight = test::normal_matrix(each.rows, each.cols, 1);
      const LayerStats stats = test::correlated_stats(each.cols, 3 * each.cols, 2);
      const MatrixF64 a = damped(stats, SolverSpec{}.damp);
      const auto plain =
          test::quantize(each.method, weight, &stats, each.options + std::string(" refine-rounds=0")).value();
      const auto refined = test::quantize(each.method, weight, &stats, each.options + std::string(refinement)).value();
      double before = 0.0;
      double after = 0.0;
      for (std::int64_t row = 0; row < each.rows; ++row) {
        const double was = row_loss(weight.row(row), plain.matrix, row, a);
        const double is = row_loss(weight.row(row), refined.matrix, row, a);
        EXPECT_LE(is, was * (1 + 1e-5)) << row;
        before += was;
        after += is;
      }
      EXPECT_LT(after, 0.995 * before);
      EXPECT_TRUE(codec::validate(refined.matrix).ok());
    }
  }
}

// When rounds have come to rest no code, no scale beside the one found and no zero point does better: by trial, in double.
TEST(Refine, ComesToRestWhereNoSingleChangeHelps) {
  const std::int64_t rows = 4;
  const std::int64_t cols = 24;
  const Matrix weight = test::normal_matrix(rows, cols, 3);
  const LayerStats stats = test::correlated_stats(cols, 80, 4);
  const MatrixF64 a = damped(stats, SolverSpec{}.damp);
  auto outcome = test::quantize("gptq", weight, &stats, "group-size=8 bits=3 refine-rounds=60 scale-dtype=f32").value();
  codec::IntegerMatrix& matrix = outcome.matrix;
  for (std::int64_t row = 0; row < rows; ++row) {
    const double rest = row_loss(weight.row(row), matrix, row, a) * (1 - 1e-4);
    for (std::int64_t k = 0; k < cols; ++k) {
      std::uint8_t& code = matrix.codes[static_cast<std::size_t>(row * cols + k)];
      const std::uint8_t kept = code;
      for (int trial = 0; trial < 8; ++trial) {
        code = static_cast<std::uint8_t>(trial);
        EXPECT_GE(row_loss(weight.row(row), matrix, row, a), rest) << "row " << row << " column " << k;
      }
      code = kept;
    }
    for (std::int64_t group = 0; group < 3; ++group) {
      const auto place = static_cast<std::size_t>(row * 3 + group);
      const float scale = matrix.scales[place];
      const std::uint8_t zero_point = matrix.zero_points[place];
      for (const int shift : {-1, 0, 1}) {
        if (zero_point + shift < 0 || zero_point + shift > 7) continue;
        matrix.zero_points[place] = static_cast<std::uint8_t>(zero_point + shift);
        for (int step = -50; step <= 50; ++step) {
          matrix.scales[place] = scale * (1.0F + 0.01F * static_cast<float>(step) + 1e-4F);
          EXPECT_GE(row_loss(weight.row(row), matrix, row, a), rest) << "row " << row << " group " << group;
        }
      }
      matrix.scales[place] = scale;
      matrix.zero_points[place] = zero_point;
    }
  }
}

TEST(Refine, TrialScalesFindMore) {
  const Matrix weight = test::normal_matrix(64, 128, 5);
  const LayerStats stats = test::correlated_stats(128, 400, 6);
  double last = 1.0;
  for (const char* options : {"refine-rounds=0", "refine-rounds=3 refine-steps=0", "refine-rounds=3 refine-steps=16"}) {
    const auto outcome = test::quantize("gptq", weight, &stats, std::string("group-size=32 bits=3 ") + options).value();
    EXPECT_LT(outcome.relative_loss, 0.99 * last) << options;
    last = outcome.relative_loss;
  }
}

TEST(Refine, DoesNotDependOnThreads) {
  const Matrix weight = test::normal_matrix(301, 160, 7);
  const LayerStats stats = test::correlated_stats(160, 300, 8);
  const std::string options = "group-size=48 refine-rounds=3 refine-steps=4";
  const auto expected = test::quantize("gptq", weight, &stats, options).value();
  for (const int threads : {1, 2, 4}) {
    sys::ThreadPool pool(threads);
    const auto found = test::quantize("gptq", weight, &stats, options, &pool).value();
    EXPECT_EQ(found.matrix.codes, expected.matrix.codes) << threads;
    EXPECT_EQ(found.matrix.scales, expected.matrix.scales);
    EXPECT_EQ(found.matrix.zero_points, expected.matrix.zero_points);
  }
}

// Rows differ in size by more than float holds of their squares.
TEST(Refine, SizesDoNotMatter) {
  const std::int64_t cols = 64;
  const Matrix weight = test::normal_matrix(3, cols, 9);
  const LayerStats stats = test::correlated_stats(cols, 200, 10);
  const std::string options = "group-size=32 scale-dtype=f32 refine-rounds=3 refine-steps=6";
  const auto expected = test::quantize("gptq", weight, &stats, options).value();
  Matrix scaled = weight.clone();
  for (std::int64_t k = 0; k < cols; ++k) {
    scaled(0, k) *= 0x1p120F;
    scaled(2, k) *= 0x1p-100F;
  }
  const auto found = test::quantize("gptq", scaled, &stats, options).value();
  EXPECT_EQ(found.matrix.codes, expected.matrix.codes);
  EXPECT_EQ(found.matrix.scales[0], expected.matrix.scales[0] * 0x1p120F);
}

// A column that calibration never saw decides nothing and keeps its weight's nearest value on the final grid.
TEST(Refine, DeadColumnsKeepTheirRoundedWeight) {
  const std::int64_t cols = 64;
  const Matrix weight = test::normal_matrix(10, cols, 13);
  LayerStats stats = test::correlated_stats(cols, 200, 14);
  for (std::int64_t k = 0; k < cols; ++k) stats.hessian(13, k) = stats.hessian(k, 13) = 0.0F;
  const auto outcome =
      test::quantize("gptq", weight, &stats, "group-size=32 bits=3 refine-rounds=4 refine-steps=4").value();
  for (std::int64_t row = 0; row < 10; ++row) {
    const auto place = static_cast<std::size_t>(row * 2);
    const double exact = weight(row, 13) / static_cast<double>(outcome.matrix.scales[place]);
    const double nearest = std::clamp(std::nearbyint(exact) + outcome.matrix.zero_points[place], 0.0, 7.0);
    EXPECT_EQ(outcome.matrix.codes[static_cast<std::size_t>(row * cols + 13)], nearest);
  }
}

TEST(Refine, DegenerateInputStaysFinite) {
  const std::int64_t cols = 40;
  const LayerStats sound = test::correlated_stats(cols, 100, 11);
  LayerStats dead{sound.hessian.clone(), 100};
  for (std::int64_t k = 0; k < cols; ++k) {
    for (const std::int64_t column : {std::int64_t{0}, std::int64_t{17}}) {
      dead.hessian(column, k) = dead.hessian(k, column) = 0.0F;
    }
  }
  LayerStats rank_one{Matrix(cols, cols), 1};
  rank_one.hessian.fill(1e30F);
  for (const LayerStats* stats :
       {&sound, static_cast<const LayerStats*>(&dead), static_cast<const LayerStats*>(&rank_one)}) {
    for (const float size : {0.0F, 1e-38F, 1.0F, 1e38F}) {
      Matrix weight = test::normal_matrix(5, cols, 12);
      for (std::int64_t i = 0; i < weight.size(); ++i)
        weight.data()[i] = std::clamp(weight.data()[i], -3.0F, 3.0F) * size;
      for (std::int64_t k = 0; k < cols; ++k) weight(3, k) = size;
      for (const char* dtype : {"scale-dtype=f32", "scale-dtype=bf16"}) {
        const auto outcome =
            test::quantize("gptq", weight, stats, std::string("group-size=64 refine-rounds=2 refine-steps=5 ") + dtype)
                .value();
        for (const float scale : outcome.matrix.scales) EXPECT_TRUE(std::isfinite(scale) && scale > 0.0F);
        const Matrix values = codec::dequantize(outcome.matrix);
        for (std::int64_t i = 0; i < values.size(); ++i) ASSERT_TRUE(std::isfinite(values.data()[i])) << size;
        for (const std::uint8_t code : outcome.matrix.codes) ASSERT_LE(code, 15);
        for (const std::uint8_t zero_point : outcome.matrix.zero_points) ASSERT_LE(zero_point, 15);
      }
    }
  }
}

}  // namespace
}  // namespace quernel::quant
