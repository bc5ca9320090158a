#include "quant/integer_grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/checked.h"
#include "kernels/rounding/table.h"
#include "quant/prepared_hessian.h"
#include "quant/scale_search.h"

namespace quernel::quant {
namespace {

constexpr std::int64_t kRowsPerTask = 16;
constexpr float kLeastColumnWeight = 1e-3F;  // of the mean of diag(H)

std::int64_t padded(std::int64_t rows) {
  return ceil_div(rows, kernels::rounding::kLaneMultiple) * kernels::rounding::kLaneMultiple;
}

Error unrepresentable(const GridSpec& spec, std::int64_t row, std::int64_t group, float largest) {
  return Error(Fault::limit_exceeded, fmt::format("the scale of row {}, group {} does not fit its type", row, group))
      .expect(fmt::format("a scale within {}", to_string(spec.scale_dtype)), fmt::format("weights up to {:g}", largest))
      .with_hint("--scale-dtype bf16 or f32 holds it");
}

GroupFinder grid_finder(const GridSpec& spec) {
  return [finder = GridFinder(spec)](std::span<const float> values, std::span<const float> importance) mutable {
    return finder.find(values, importance);
  };
}

}  // namespace

std::vector<float> search_weights(const LayerStats* stats, const GridSpec& spec, std::int64_t cols) {
  std::vector<float> weights(static_cast<std::size_t>(cols), 1.0F);
  if (stats == nullptr || spec.search != ScaleSearch::weighted_mse || stats->hessian.cols() != cols) return weights;
  double sum = 0.0;
  for (std::int64_t k = 0; k < cols; ++k) {
    const float entry = stats->hessian(k, k);
    if (!std::isfinite(entry) || entry < 0.0F) return weights;
    sum += entry;
  }
  if (sum == 0.0) return weights;
  const double inverse_mean = static_cast<double>(cols) / sum;
  for (std::int64_t k = 0; k < cols; ++k) {
    const auto relative = static_cast<float>(stats->hessian(k, k) * inverse_mean);
    weights[static_cast<std::size_t>(k)] = std::max(relative, kLeastColumnWeight);
  }
  return weights;
}

IntegerGrid::IntegerGrid(std::int64_t rows, std::int64_t cols, const GridSpec& spec, std::vector<float> column_weights)
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
  row_stride_ = padded(rows);
  scales_.assign(static_cast<std::size_t>(num_groups_ * row_stride_), 1.0F);
  low_.assign(scales_.size(), 0.0F);
  high_.assign(scales_.size(), 0.0F);
  row_failed_.assign(static_cast<std::size_t>(rows), 0);
}

void IntegerGrid::set_group(std::int64_t row, std::int64_t group, float scale, std::int32_t zero_point) {
  const auto place = static_cast<std::size_t>(group * row_stride_ + row);
  scales_[place] = scale;
  low_[place] = static_cast<float>(-zero_point);
  high_[place] = static_cast<float>((1 << spec_.bits) - 1 - zero_point);
}

Status IntegerGrid::find_groups(ConstMatrixView weight, sys::ThreadPool& pool, const MakeGroupFinder& make_finder) {
  const std::int64_t group_size = matrix_.group_size;
  std::vector<std::int64_t> failed_group(static_cast<std::size_t>(matrix_.rows), -1);
  pool.parallel_for(ceil_div(matrix_.rows, kRowsPerTask), [&](std::int64_t task) {
    const GroupFinder find = make_finder ? make_finder() : grid_finder(spec_);
    const std::int64_t end = std::min((task + 1) * kRowsPerTask, matrix_.rows);
    for (std::int64_t row = task * kRowsPerTask; row < end; ++row) {
      for (std::int64_t group = 0; group < num_groups_; ++group) {
        const auto first = static_cast<std::size_t>(group * group_size);
        const auto count = static_cast<std::size_t>(std::min(group_size, matrix_.cols - group * group_size));
        const GroupGrid found =
            find(weight.row(row).subspan(first, count), std::span<const float>(column_weights_).subspan(first, count));
        set_group(row, group, found.scale, found.zero_point);
        if (!found.representable) failed_group[static_cast<std::size_t>(row)] = group;
      }
    }
  });
  for (std::int64_t row = 0; row < matrix_.rows; ++row) {
    const std::int64_t group = failed_group[static_cast<std::size_t>(row)];
    if (group < 0) continue;
    float largest = 0.0F;
    for (const float value : weight.row(row)) largest = std::max(largest, std::abs(value));
    return unrepresentable(spec_, row, group, largest);
  }
  return {};
}

void IntegerGrid::find_groups_in_windows(std::span<const std::int32_t> order) {
  QUERNEL_CHECK(std::cmp_equal(order.size(), matrix_.cols));
  in_windows_ = true;
  const std::int64_t group_size = matrix_.group_size;
  group_of_window_.assign(static_cast<std::size_t>(num_groups_), 0);
  bool together = true;
  for (std::int64_t p = 0; p < matrix_.cols; ++p) {
    const std::int64_t group = order[static_cast<std::size_t>(p)] / group_size;
    const auto window = static_cast<std::size_t>(p / group_size);
    if (p % group_size == 0) group_of_window_[window] = static_cast<std::int32_t>(group);
    together = together && group_of_window_[window] == group;
  }
  if (together) return;
  for (std::int64_t p = 0; p < matrix_.cols; ++p) {
    const auto window = static_cast<std::int32_t>(p / group_size);
    group_of_window_[static_cast<std::size_t>(window)] = window;
    matrix_.group_of_column[static_cast<std::size_t>(order[static_cast<std::size_t>(p)])] = window;
  }
}

void IntegerGrid::open_window(RowTile tile, std::int64_t window, std::span<const std::int32_t> columns,
                              ConstMatrixView targets) {
  GridFinder finder(spec_);
  std::vector<float> weights(columns.size());
  for (std::size_t k = 0; k < columns.size(); ++k) {
    weights[k] = column_weights_[static_cast<std::size_t>(columns[k])];
  }
  const std::int64_t group = group_of_window_[static_cast<std::size_t>(window)];
  for (std::int64_t i = 0; i < tile.count; ++i) {
    const GroupGrid found = finder.find(targets.row(i), weights);
    set_group(tile.first + i, group, found.scale, found.zero_point);
    if (!found.representable) row_failed_[static_cast<std::size_t>(tile.first + i)] = 1;
  }
}

bool IntegerGrid::windows_representable() const {
  return std::all_of(row_failed_.begin(), row_failed_.end(), [](std::uint8_t failed) { return failed == 0; });
}

void IntegerGrid::round_column(RowTile tile, std::int64_t column, const float* target, float* value) {
  constexpr std::int64_t kChunk = 4 * kernels::rounding::kLaneMultiple;
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
}

void IntegerGrid::round_all(ConstMatrixView weight, sys::ThreadPool& pool) {
  pool.parallel_for(ceil_div(matrix_.rows, kernels::rounding::kLaneMultiple), [&](std::int64_t task) {
    const std::int64_t first = task * kernels::rounding::kLaneMultiple;
    const RowTile tile = {first, std::min(kernels::rounding::kLaneMultiple, matrix_.rows - first),
                          kernels::rounding::kLaneMultiple};
    std::array<float, kernels::rounding::kLaneMultiple> target{};
    std::array<float, kernels::rounding::kLaneMultiple> value{};
    for (std::int64_t column = 0; column < matrix_.cols; ++column) {
      for (std::int64_t i = 0; i < tile.count; ++i) target[static_cast<std::size_t>(i)] = weight(first + i, column);
      round_column(tile, column, target.data(), value.data());
    }
  });
}

codec::IntegerMatrix IntegerGrid::finish() && {
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
