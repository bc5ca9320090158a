// What grids with one scale and one zero point a group share: storage, rounding, windows. The scales themselves are found by
// the grids that derive from it.
//
// Layout   while it is filled, scales lie [groups, lanes] so that a column's rows are contiguous; finish() hands out the
//          neutral [rows, groups] form
// Threads  see grid.h
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "codec/integer_matrix.h"
#include "quant/grid.h"
#include "quant/spec.h"
#include "sys/thread_pool.h"
#include "tensor/matrix.h"

namespace quernel::quant {

class GroupedGrid : public Grid {
 public:
  // Every weight to its nearest value, without error feedback.
  void round_all(ConstMatrixView weight, sys::ThreadPool& pool);
  // From here on these places are off the grid: what the solver wants there is their value, so that they make no error and none
  // is fed back from them; their codes stand for 0. They join the matrix. Sorted as IntegerMatrix::outliers.
  void hold_out(std::vector<codec::Outlier> places) { matrix_.outliers = std::move(places); }
  codec::IntegerMatrix finish() &&;

  [[nodiscard]] std::int64_t window_size() const override { return group_of_window_.empty() ? 0 : matrix_.group_size; }
  void round_column(RowTile tile, std::int64_t column, const float* target, float* value) override;

 protected:
  struct Columns {
    std::size_t first = 0;
    std::size_t count = 0;
  };

  // column_weights [cols]: importance of each column in the scale search, finite, above 0. Every scale is 1 at first.
  GroupedGrid(std::int64_t rows, std::int64_t cols, const GridSpec& spec, std::vector<float> column_weights);

  void set_levels(std::int64_t row, std::int64_t group, float scale, std::int32_t zero_point);
  // Of a group of neighbouring columns.
  [[nodiscard]] Columns columns_of(std::int64_t group) const;
  [[nodiscard]] std::span<const float> weights_of(Columns columns) const {
    return std::span<const float>(column_weights_).subspan(columns.first, columns.count);
  }

  // From here on groups open in windows of the solver's order [cols]: window i is the group of its first column. False where
  // some window holds columns of several groups.
  bool open_in_windows(std::span<const std::int32_t> order);
  // What scales are found for: values [columns] of a row, with 0 where a place is held out.
  [[nodiscard]] std::vector<float> without_held_out(std::int64_t row, std::span<const std::int32_t> columns,
                                                    std::span<const float> values) const;
  // Of a window's columns, in solver order.
  [[nodiscard]] std::vector<float> weights_of(std::span<const std::int32_t> columns) const;

  GridSpec spec_;
  std::vector<float> column_weights_;
  codec::IntegerMatrix matrix_;
  std::int64_t num_groups_;
  std::vector<std::int32_t> group_of_window_;  // [groups]; empty: every group is known before the loop

 private:
  void give_held_out(RowTile tile, std::int64_t column, const float* target, float* value);

  std::int64_t row_stride_;    // rows, padded to whole lanes
  std::vector<float> scales_;  // [groups, row_stride_]
  std::vector<float> low_;     // [groups, row_stride_] -zero_point
  std::vector<float> high_;    // [groups, row_stride_] 2^bits - 1 - zero_point
};

}  // namespace quernel::quant
