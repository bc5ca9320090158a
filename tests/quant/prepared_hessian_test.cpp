#include "quant/prepared_hessian.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "quant/samples.h"

namespace quernel::quant {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(PreparedHessian, OrdersColumns) {
  const std::vector<float> diagonal = {1, 5, 3, 5, 9, 0, 2};
  EXPECT_THAT(column_order(diagonal, ColumnOrder::natural, 2), ElementsAre(0, 1, 2, 3, 4, 5, 6));
  EXPECT_THAT(column_order(diagonal, ColumnOrder::act_order, 2), ElementsAre(4, 1, 3, 2, 6, 0, 5));
  // Groups {0,1}, {2,3}, {4,5} by falling maximum; the tail {6} last although it beats nobody's maximum or everybody's.
  EXPECT_THAT(column_order(diagonal, ColumnOrder::group_aware, 2), ElementsAre(4, 5, 1, 0, 3, 2, 6));
  EXPECT_THAT(column_order({1, 2, 99}, ColumnOrder::group_aware, 2), ElementsAre(1, 0, 2));
  EXPECT_THAT(column_order({1, 2, 3}, ColumnOrder::group_aware, 3), ElementsAre(2, 1, 0));
}

TEST(PreparedHessian, FactorIsThatOfTheDampedInverse) {
  const std::int64_t cols = 40;
  const LayerStats stats = test::correlated_stats(cols, 100, 1);
  for (const ColumnOrder order : {ColumnOrder::natural, ColumnOrder::act_order, ColumnOrder::group_aware}) {
    SolverSpec solver;
    solver.order = order;
    const PreparedHessian prepared = prepare_hessian(stats, GridSpec{.group_size = 16}, solver).value();
    ASSERT_FALSE(prepared.failure.has_value());
    EXPECT_EQ(prepared.damp, solver.damp);
    double mean = 0.0;
    for (std::int64_t k = 0; k < cols; ++k) mean += stats.hessian(k, k) / static_cast<double>(cols);
    // U A U^T = I, since A^-1 = U^T U.
    MatrixF64 product(cols, cols);
    for (std::int64_t i = 0; i < cols; ++i) {
      for (std::int64_t j = 0; j < cols; ++j) {
        double sum = 0.0;
        for (std::int64_t p = i; p < cols; ++p) {
          for (std::int64_t q = j; q < cols; ++q) {
            const auto row = prepared.order[static_cast<std::size_t>(p)];
            const auto col = prepared.order[static_cast<std::size_t>(q)];
            const double entry = stats.hessian(row, col) / mean + (p == q ? solver.damp : 0.0);
            sum += prepared.upper(i, p) * entry * prepared.upper(j, q);
          }
        }
        EXPECT_NEAR(sum, i == j ? 1.0 : 0.0, 1e-4);
        EXPECT_TRUE(i <= j || prepared.upper(i, j) == 0.0F);
      }
    }
  }
}

TEST(PreparedHessian, DeadColumnsStandAlone) {
  LayerStats stats = test::correlated_stats(12, 40, 2);
  for (std::int64_t k = 0; k < 12; ++k) stats.hessian(5, k) = stats.hessian(k, 5) = 0.0F;
  stats.hessian(3, 5) = stats.hessian(5, 3) = 0.25F;  // no sum of squares looks like this; it must not leak
  const PreparedHessian prepared = prepare_hessian(stats, GridSpec{}, SolverSpec{}).value();
  ASSERT_FALSE(prepared.failure.has_value());
  EXPECT_EQ(prepared.dead_columns, 1);
  EXPECT_EQ(prepared.order.back(), 5);
  for (std::int64_t p = 0; p + 1 < 12; ++p) EXPECT_EQ(prepared.upper(p, 11), 0.0F);
}

TEST(PreparedHessian, ClimbsTheLadder) {
  // Eigenvalues 1 +- 1.055: indefinite until damp passes 0.05.
  LayerStats stats{Matrix(2, 2), 1};
  stats.hessian(0, 0) = stats.hessian(1, 1) = 1.0F;
  stats.hessian(0, 1) = stats.hessian(1, 0) = 1.055F;
  SolverSpec solver;
  solver.damp = 0.01;
  PreparedHessian prepared = prepare_hessian(stats, GridSpec{}, solver).value();
  ASSERT_FALSE(prepared.failure.has_value());
  EXPECT_NEAR(prepared.damp, 0.06, 1e-9);
  EXPECT_EQ(prepared.diagonal_floor, 0.0);

  solver.damp_limit = 0.04;
  prepared = prepare_hessian(stats, GridSpec{}, solver).value();
  ASSERT_TRUE(prepared.failure.has_value());
  EXPECT_THAT(*prepared.failure, HasSubstr("positive definite"));
  EXPECT_TRUE(prepared.upper.empty());
}

TEST(PreparedHessian, LiftsASmallDiagonalLast) {
  // One entry dominates, a small one is far too small for its neighbour: only a floor of 1e-1 of the largest helps.
  LayerStats stats{Matrix(3, 3), 1};
  stats.hessian(0, 0) = 100.0F;
  stats.hessian(1, 1) = 1e-3F;
  stats.hessian(2, 2) = 1.0F;
  stats.hessian(0, 1) = stats.hessian(1, 0) = 5.0F;
  SolverSpec solver;
  solver.damp_limit = 0.005;
  solver.damp = 0.005;
  const PreparedHessian prepared = prepare_hessian(stats, GridSpec{}, solver).value();
  ASSERT_FALSE(prepared.failure.has_value());
  EXPECT_EQ(prepared.damp, 0.005);
  EXPECT_GT(prepared.diagonal_floor, 0.0);
}

TEST(PreparedHessian, SaysWhyThereIsNoFactor) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto failure_of = [](LayerStats stats) {
    const PreparedHessian prepared = prepare_hessian(stats, GridSpec{}, SolverSpec{}).value();
    return prepared.failure.value_or("none");
  };
  LayerStats stats = test::correlated_stats(8, 20, 3);
  stats.hessian(6, 2) = nan;
  EXPECT_THAT(failure_of({stats.hessian.clone(), 20}), HasSubstr("row 6"));
  stats.hessian(6, 2) = std::numeric_limits<float>::infinity();
  EXPECT_THAT(failure_of({stats.hessian.clone(), 20}), HasSubstr("not finite"));
  stats.hessian(6, 2) = 0.0F;
  stats.hessian(4, 4) = -1.0F;
  EXPECT_THAT(failure_of({stats.hessian.clone(), 20}), HasSubstr("diagonal entry 4"));
  EXPECT_THAT(failure_of({Matrix(8, 8), 0}), HasSubstr("no calibration token"));
}

TEST(PreparedHessian, RefusesWhatIsNotSquare) {
  EXPECT_FALSE(prepare_hessian({Matrix(3, 4), 1}, GridSpec{}, SolverSpec{}).ok());
  EXPECT_FALSE(prepare_hessian({Matrix(), 0}, GridSpec{}, SolverSpec{}).ok());
}

TEST(PreparedHessian, KnowsWhatItWasMadeFor) {
  const LayerStats stats = test::correlated_stats(8, 20, 4);
  GridSpec grid;
  SolverSpec solver;
  const PreparedHessian prepared = prepare_hessian(stats, grid, solver).value();
  EXPECT_TRUE(is_prepared_for(prepared, 8, grid, solver));
  EXPECT_FALSE(is_prepared_for(prepared, 9, grid, solver));
  grid.bits = 3;
  grid.group_size = 32;
  EXPECT_TRUE(is_prepared_for(prepared, 8, grid, solver));
  solver.damp = 0.02;
  EXPECT_FALSE(is_prepared_for(prepared, 8, grid, solver));
}

}  // namespace
}  // namespace quernel::quant
