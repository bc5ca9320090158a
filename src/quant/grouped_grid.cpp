#include "quant/grouped_grid.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/checked.h"
#include "kernels/rounding/table.h"
#include "quant/prepared_hessian.h"

namespace quernel::quant {
namespace {

constexpr std::int64_t kLanes = kernels::rounding::kLaneMultiple;

}  // namespace

GroupedGrid::GroupedGrid(std::int64_t rows, std::int64_t cols, const GridSpec& spec, std::vector<float> column_weights)
    : spec_(spec), column_weights_(std::move(column_weights)) {
  QUERNEL_CHECK(std::cmp_equal(column_weights_.size(), cols), "{} weights of {} columns", column_weights_.size(), cols);
  matrix_.rows = rows;
  matrix_.cols = cols;
  matrix_.bits = spec.bits;
  matrix_.group_size = effective_group_size(spec, cols);
  matrix_.symmetric = spec.symmetry != Symmetry::asymmetric;
  matrix_.scale_dtype = spec.scale_dtype;
  matrix_.codes.resize(static_cast<std::size_t>(rows * cols));
  matrix_.group_of_column = codec::contiguous_groups(cols, matrix_.group_size);
  num_groups_ = matrix_.num_groups();
  row_stride_ = ceil_div(rows, kLanes) * kLanes;
  scales_.assign(static_cast<std::size_t>(num_groups_ * row_stride_), 1.0F);
  low_.assign(scales_.size(), 0.0F);
  high_.assign(scales_.size(), 0.0F);
}

void GroupedGrid::set_levels(std::int64_t row, std::int64_t group, float scale, std::int32_t zero_point) {
  const auto place = static_cast<std::size_t>(group * row_stride_ + row);
  scales_[place] = scale;
  low_[place] = static_cast<float>(-zero_point);
  high_[place] = static_cast<float>((1 << spec_.bits) - 1 - zero_point);
}

GroupedGrid::Columns GroupedGrid::columns_of(std::int64_t group) const {
  const std::int64_t first = group * matrix_.group_size;
  return {static_cast<std::size_t>(first),
          static_cast<std::size_t>(std::min(matrix_.group_size, matrix_.cols - first))};
}

bool GroupedGrid::open_in_windows(std::span<const std::int32_t> order) {
  QUERNEL_CHECK(std::cmp_equal(order.size(), matrix_.cols));
  group_of_window_.assign(static_cast<std::size_t>(num_groups_), 0);
  bool together = true;
  for (std::int64_t p = 0; p < matrix_.cols; ++p) {
    const std::int64_t group = order[static_cast<std::size_t>(p)] / matrix_.group_size;
    std::int32_t& own = group_of_window_[static_cast<std::size_t>(p / matrix_.group_size)];
    if (p % matrix_.group_size == 0) own = static_cast<std::int32_t>(group);
    together = together && own == group;
  }
  return together;
}

std::vector<float> GroupedGrid::weights_of(std::span<const std::int32_t> columns) const {
  std::vector<float> weights(columns.size());
  for (std::size_t k = 0; k < columns.size(); ++k) {
    weights[k] = column_weights_[static_cast<std::size_t>(columns[k])];
  }
  return weights;
}

std::vector<float> GroupedGrid::without_held_out(std::int64_t row, std::span<const std::int32_t> columns,
                                                 std::span<const float> values) const {
  std::vector<float> rest(values.begin(), values.end());
  for (const codec::Outlier& one : matrix_.outliers) {
    const auto column = std::find(columns.begin(), columns.end(), one.col);
    if (one.row == row && column != columns.end()) rest[static_cast<std::size_t>(column - columns.begin())] = 0.0F;
  }
  return rest;
}

void GroupedGrid::give_held_out(RowTile tile, std::int64_t column, const float* target, float* value) {
  const std::int64_t group = matrix_.group_of_column[static_cast<std::size_t>(column)];
  for (codec::Outlier& one : matrix_.outliers) {
    if (one.col != column || one.row < tile.first || one.row >= tile.first + tile.count) continue;
    const std::int64_t lane = one.row - tile.first;
    one.value = value[lane] = target[lane];
    matrix_.codes[static_cast<std::size_t>(one.row * matrix_.cols + column)] =
        static_cast<std::uint8_t>(-low_[static_cast<std::size_t>(group * row_stride_ + one.row)]);
  }
}

void GroupedGrid::round_column(RowTile tile, std::int64_t column, const float* target, float* value) {
  constexpr std::int64_t kChunk = 4 * kLanes;
  std::array<std::int32_t, kChunk> level;
  const std::int64_t group = matrix_.group_of_column[static_cast<std::size_t>(column)];
  for (std::int64_t first = 0; first < tile.count; first += kChunk) {
    const std::int64_t place = group * row_stride_ + tile.first + first;
    const std::int64_t lanes = std::min(kChunk, tile.lanes - first);
    kernels::rounding::functions().round_lanes(target + first, scales_.data() + place, low_.data() + place,
                                               high_.data() + place, lanes, value + first, level.data());
    std::uint8_t* code = matrix_.codes.data() + (tile.first + first) * matrix_.cols + column;
    const std::int64_t count = std::min(kChunk, tile.count - first);
    for (std::int64_t i = 0; i < count; ++i) {
      const auto zero_point = -static_cast<std::int32_t>(low_[static_cast<std::size_t>(place + i)]);
      code[i * matrix_.cols] = static_cast<std::uint8_t>(level[static_cast<std::size_t>(i)] + zero_point);
    }
  }
  give_held_out(tile, column, target, value);
}

void GroupedGrid::round_all(ConstMatrixView weight, sys::ThreadPool& pool) {
  pool.parallel_for(ceil_div(matrix_.rows, kLanes), [&](std::int64_t task) {
    const std::int64_t first = task * kLanes;
    const RowTile tile = {first, std::min(kLanes, matrix_.rows - first), kLanes};
    std::array<float, kLanes> target{};
    std::array<float, kLanes> value{};
    for (std::int64_t column = 0; column < matrix_.cols; ++column) {
      for (std::int64_t i = 0; i < tile.count; ++i) target[static_cast<std::size_t>(i)] = weight(first + i, column);
      round_column(tile, column, target.data(), value.data());
    }
  });
}

codec::IntegerMatrix GroupedGrid::finish() && {
  const auto count = static_cast<std::size_t>(matrix_.rows * num_groups_);
  matrix_.scales.resize(count);
  matrix_.zero_points.resize(count);
  for (std::int64_t row = 0; row < matrix_.rows; ++row) {
    for (std::int64_t group = 0; group < num_groups_; ++group) {
      const auto from = static_cast<std::size_t>(group * row_stride_ + row);
      const auto to = static_cast<std::size_t>(row * num_groups_ + group);
      matrix_.scales[to] = scales_[from];
      matrix_.zero_points[to] = static_cast<std::uint8_t>(-low_[from]);
    }
  }
  return std::move(matrix_);
}

}  // namespace quernel::quant
