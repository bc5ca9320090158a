#include "quant/integer_grid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "quant/samples.h"
#include "quant/scale_search.h"

namespace quernel::quant {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<float> ones(std::int64_t cols) { return std::vector<float>(static_cast<std::size_t>(cols), 1.0F); }

TEST(IntegerGrid, RoundsEachWeightToItsGroup) {
  sys::ThreadPool pool(2);
  struct Shape {
    std::int64_t rows, cols, group_size;
  };
  for (const auto& [rows, cols, group_size] :
       {Shape{1, 1, 1}, Shape{5, 70, 32}, Shape{17, 64, 16}, Shape{130, 33, -1}, Shape{16, 40, 128}}) {
    const Matrix weight = test::normal_matrix(rows, cols, 1);
    GridSpec spec;
    spec.group_size = group_size;
    IntegerGrid grid(rows, cols, spec, ones(cols));
    ASSERT_TRUE(grid.find_groups(weight, pool).ok());
    grid.round_all(weight, pool);
    const codec::IntegerMatrix matrix = std::move(grid).finish();
    ASSERT_TRUE(codec::validate(matrix).ok()) << to_string(codec::validate(matrix).error());
    ASSERT_TRUE(matrix.has_contiguous_groups());
    const std::int64_t groups = matrix.num_groups();
    GridFinder finder(spec);
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t col = 0; col < cols; ++col) {
        const std::int64_t group = col / matrix.group_size;
        const float scale = matrix.scales[static_cast<std::size_t>(row * groups + group)];
        const int zero_point = matrix.zero_points[static_cast<std::size_t>(row * groups + group)];
        const float code = std::nearbyint(weight(row, col) / scale) + static_cast<float>(zero_point);
        EXPECT_EQ(matrix.codes[static_cast<std::size_t>(row * cols + col)], std::clamp(code, 0.0F, 15.0F));
        if (col % matrix.group_size != 0) continue;
        const auto count = static_cast<std::size_t>(std::min(matrix.group_size, cols - col));
        const GroupGrid found =
            finder.find(std::as_const(weight).row(row).subspan(static_cast<std::size_t>(col), count),
                        ones(static_cast<std::int64_t>(count)));
        EXPECT_EQ(found.scale, scale);
        EXPECT_EQ(found.zero_point, zero_point);
      }
    }
  }
}

TEST(IntegerGrid, WindowsKeepTheGroupsOfAnOrderThatKeepsThem) {
  GridSpec spec;
  spec.group_size = 2;
  const std::vector<std::int32_t> order = {3, 2, 0, 1, 4};
  IntegerGrid grid(1, 5, spec, ones(5));
  grid.find_groups_in_windows(order);
  EXPECT_EQ(grid.window_size(), 2);
  const codec::IntegerMatrix matrix = std::move(grid).finish();
  EXPECT_TRUE(matrix.has_contiguous_groups());
}

TEST(IntegerGrid, WindowsBecomeTheGroupsOfAnyOtherOrder) {
  GridSpec spec;
  spec.group_size = 2;
  const std::vector<std::int32_t> order = {4, 2, 0, 1, 3};
  IntegerGrid grid(1, 5, spec, ones(5));
  grid.find_groups_in_windows(order);
  const codec::IntegerMatrix matrix = std::move(grid).finish();
  EXPECT_THAT(matrix.group_of_column, ElementsAre(1, 1, 0, 2, 0));
}

TEST(IntegerGrid, ReportsScalesThatDoNotFit) {
  sys::ThreadPool pool(1);
  Matrix weight = test::normal_matrix(3, 64, 2);
  weight(2, 40) = 1e38F;
  GridSpec spec;
  spec.group_size = 32;
  IntegerGrid grid(3, 64, spec, ones(64));
  const Status status = grid.find_groups(weight, pool);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::limit_exceeded);
  EXPECT_THAT(to_string(status.error()), HasSubstr("row 2, group 1"));
  EXPECT_THAT(to_string(status.error()), HasSubstr("--scale-dtype"));
  spec.scale_dtype = DType::bf16;
  IntegerGrid wide(3, 64, spec, ones(64));
  EXPECT_TRUE(wide.find_groups(weight, pool).ok());
}

TEST(IntegerGrid, SearchWeightsFollowTheDiagonal) {
  LayerStats stats{Matrix(4, 4), 10};
  stats.hessian(0, 0) = 2.0F;
  stats.hessian(1, 1) = 6.0F;
  stats.hessian(2, 2) = 0.0F;  // dead: counts little, but counts
  stats.hessian(3, 3) = 0.0F;
  const std::vector<float> weights = search_weights(&stats, GridSpec{}, 4);
  EXPECT_FLOAT_EQ(weights[0], 1.0F);
  EXPECT_FLOAT_EQ(weights[1], 3.0F);
  EXPECT_GT(weights[2], 0.0F);
  EXPECT_LT(weights[2], 0.01F);
  GridSpec plain;
  plain.search = ScaleSearch::mse;
  EXPECT_EQ(search_weights(&stats, plain, 4), ones(4));
  EXPECT_EQ(search_weights(nullptr, GridSpec{}, 4), ones(4));
  stats.hessian(1, 1) = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(search_weights(&stats, GridSpec{}, 4), ones(4));
}

}  // namespace
}  // namespace quernel::quant
