#include "quant/integer_grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/checked.h"
#include "quant/scale_search.h"

namespace quernel::quant {
namespace {

constexpr std::int64_t kRowsPerTask = 16;
constexpr float kLeastColumnWeight = 1e-3F;  // of the mean of diag(H)

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

Error unrepresentable_scale(const GridSpec& spec, ConstMatrixView weight, std::int64_t row, std::int64_t group) {
  float largest = 0.0F;
  for (const float value : weight.row(row)) largest = std::max(largest, std::abs(value));
  return Error(Fault::limit_exceeded, fmt::format("the scale of row {}, group {} does not fit its type", row, group))
      .expect(fmt::format("a scale within {}", to_string(spec.scale_dtype)), fmt::format("weights up to {:g}", largest))
      .with_hint("--scale-dtype bf16 or f32 holds it");
}

IntegerGrid::IntegerGrid(std::int64_t rows, std::int64_t cols, const GridSpec& spec, std::vector<float> column_weights)
    : GroupedGrid(rows, cols, spec, std::move(column_weights)), row_failed_(static_cast<std::size_t>(rows), 0) {}

Status IntegerGrid::find_groups(ConstMatrixView weight, sys::ThreadPool& pool, const MakeGroupFinder& make_finder) {
  std::vector<std::int64_t> failed_group(static_cast<std::size_t>(matrix_.rows), -1);
  pool.parallel_for(ceil_div(matrix_.rows, kRowsPerTask), [&](std::int64_t task) {
    const GroupFinder find = make_finder ? make_finder() : grid_finder(spec_);
    const std::int64_t end = std::min((task + 1) * kRowsPerTask, matrix_.rows);
    for (std::int64_t row = task * kRowsPerTask; row < end; ++row) {
      for (std::int64_t group = 0; group < num_groups_; ++group) {
        const Columns columns = columns_of(group);
        const GroupGrid found = find(weight.row(row).subspan(columns.first, columns.count), weights_of(columns));
        set_levels(row, group, found.scale, found.zero_point);
        if (!found.representable) failed_group[static_cast<std::size_t>(row)] = group;
      }
    }
  });
  for (std::int64_t row = 0; row < matrix_.rows; ++row) {
    const std::int64_t group = failed_group[static_cast<std::size_t>(row)];
    if (group >= 0) return unrepresentable_scale(spec_, weight, row, group);
  }
  return {};
}

void IntegerGrid::find_groups_in_windows(std::span<const std::int32_t> order) {
  if (open_in_windows(order)) return;
  for (std::int64_t p = 0; p < matrix_.cols; ++p) {
    const auto window = static_cast<std::int32_t>(p / matrix_.group_size);
    group_of_window_[static_cast<std::size_t>(window)] = window;
    matrix_.group_of_column[static_cast<std::size_t>(order[static_cast<std::size_t>(p)])] = window;
  }
}

void IntegerGrid::open_window(RowTile tile, std::int64_t window, std::span<const std::int32_t> columns,
                              ConstMatrixView targets) {
  GridFinder finder(spec_);
  const std::vector<float> weights = weights_of(columns);
  const std::int64_t group = group_of_window_[static_cast<std::size_t>(window)];
  for (std::int64_t i = 0; i < tile.count; ++i) {
    const GroupGrid found = finder.find(targets.row(i), weights);
    set_levels(tile.first + i, group, found.scale, found.zero_point);
    if (!found.representable) row_failed_[static_cast<std::size_t>(tile.first + i)] = 1;
  }
}

bool IntegerGrid::windows_representable() const {
  return std::all_of(row_failed_.begin(), row_failed_.end(), [](std::uint8_t failed) { return failed == 0; });
}

}  // namespace quernel::quant
