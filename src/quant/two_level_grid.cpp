#include "quant/two_level_grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/checked.h"
#include "kernels/rounding/table.h"
#include "quant/scale_search.h"

namespace quernel::quant {
namespace {

constexpr std::int64_t kLanes = kernels::rounding::kLaneMultiple;
static_assert(kLanes == codec::kMaxGroupScale, "one trial scale a lane");
constexpr std::int64_t kRowsPerTask = 16;
constexpr int kBits = 4;
constexpr std::int32_t kMaxCode = 15;
constexpr std::int32_t kMiddle = 8;

float largest_magnitude(std::span<const float> values) {
  float largest = 0.0F;
  for (const float value : values) largest = std::max(largest, std::abs(value));
  return largest;
}

// absmax / 119 as it is stored; infinity where the type has no such value.
float row_scale_of(float largest, DType dtype) {
  if (largest == 0.0F) return 1.0F;
  const float smallest = dtype == DType::f16 ? 0x1p-24F : 0x1p-126F;
  return std::max(round_to_dtype(largest / static_cast<float>(kProtectiveRange), dtype), smallest);
}

Error unrepresentable(const GridSpec& spec, std::int64_t row, float largest) {
  return Error(Fault::limit_exceeded, fmt::format("the scale of row {} does not fit its type", row))
      .expect(fmt::format("a scale within {}", to_string(spec.scale_dtype)), fmt::format("weights up to {:g}", largest))
      .with_hint("--scale-dtype bf16 holds it");
}

bool is_allowed(std::int32_t scale, std::int32_t zero_point) { return codec::fits_int8(scale, zero_point, kBits); }

}  // namespace

IntegerGroup plain_group(float low, float high) {
  const float scale = std::clamp(std::nearbyint((high - low) / kMaxCode), 1.0F, float{codec::kMaxGroupScale});
  const float zero_point = std::clamp(std::nearbyint(-low / scale), 0.0F, float{kMaxCode});
  return {static_cast<std::int32_t>(scale), static_cast<std::int32_t>(zero_point)};
}

IntegerGroup held_in_int8(IntegerGroup group) {
  for (std::int32_t distance = 0; distance <= kMaxCode; ++distance) {
    for (const std::int32_t zero_point : {group.zero_point - distance, group.zero_point + distance}) {
      if (zero_point < 0 || zero_point > kMaxCode || !is_allowed(group.scale, zero_point)) continue;
      return {group.scale, zero_point};
    }
  }
  QUERNEL_CHECK(false, "no zero point holds groups of scale {} in INT8", group.scale);
  return group;
}

TwoLevelGrid::TwoLevelGrid(std::int64_t rows, std::int64_t cols, const GridSpec& spec,
                           std::vector<float> column_weights)
    : GroupedGrid(rows, cols, spec, std::move(column_weights)) {
  QUERNEL_CHECK(spec.bits == kBits && spec.scale_dtype != DType::f32);
  matrix_.levels.emplace();
  matrix_.levels->row_scales.assign(static_cast<std::size_t>(rows), 1.0F);
  matrix_.levels->group_scales.assign(static_cast<std::size_t>(rows * num_groups_), 1);
}

void TwoLevelGrid::set_group(std::int64_t row, std::int64_t group, IntegerGroup found) {
  matrix_.levels->group_scales[static_cast<std::size_t>(row * num_groups_ + group)] =
      static_cast<std::uint8_t>(found.scale);
  const float row_scale = matrix_.levels->row_scales[static_cast<std::size_t>(row)];
  set_levels(row, group, row_scale * static_cast<float>(found.scale), found.zero_point);
}

IntegerGroup TwoLevelGrid::find_group(std::span<const float> values, std::span<const float> weights,
                                      float row_scale) const {
  const bool symmetric = spec_.symmetry != Symmetry::asymmetric;
  std::vector<float> units(values.size());
  float low = 0.0F;
  float high = 0.0F;
  for (std::size_t k = 0; k < values.size(); ++k) {
    units[k] = values[k] / row_scale;
    low = std::min(low, units[k]);
    high = std::max(high, units[k]);
  }
  if (low == high) return {1, kMiddle};
  if (symmetric) low = -std::max(-low, high);
  if (symmetric) high = -low;
  IntegerGroup best = plain_group(low, high);
  if (symmetric) best.zero_point = kMiddle;
  best = held_in_int8(best);
  if (spec_.search == ScaleSearch::minmax) return best;

  std::array<float, kLanes> inverse{};
  std::array<float, kLanes> losses{};
  for (std::int64_t i = 0; i < kLanes; ++i) inverse[static_cast<std::size_t>(i)] = 1.0F / static_cast<float>(i + 1);
  float best_loss = std::numeric_limits<float>::infinity();
  for (std::int32_t zero_point = symmetric ? kMiddle : 0; zero_point <= (symmetric ? kMiddle : kMaxCode);
       ++zero_point) {
    const kernels::rounding::CandidateLanes trial = {.inverse_scale = inverse.data(),
                                                     .low = static_cast<float>(-zero_point),
                                                     .high = static_cast<float>(kMaxCode - zero_point),
                                                     .loss = losses.data(),
                                                     .lanes = kLanes};
    kernels::rounding::functions().candidate_losses(units.data(), weights.data(),
                                                    static_cast<std::int64_t>(units.size()), trial);
    for (std::int32_t scale = 1; scale <= codec::kMaxGroupScale; ++scale) {
      const float loss = losses[static_cast<std::size_t>(scale - 1)] * static_cast<float>(scale * scale);
      if (!is_allowed(scale, zero_point) || !(loss < best_loss)) continue;
      best_loss = loss;
      best = {scale, zero_point};
    }
  }
  return best;
}

Status TwoLevelGrid::find_row(ConstMatrixView weight, std::int64_t row) {
  float& row_scale = matrix_.levels->row_scales[static_cast<std::size_t>(row)];
  if (matrix_.group_size >= matrix_.cols) {
    GridFinder finder(spec_);
    const GroupGrid found = finder.find(weight.row(row), column_weights_);
    if (!found.representable) return unrepresentable(spec_, row, largest_magnitude(weight.row(row)));
    row_scale = found.scale;
    set_group(row, 0, {1, found.zero_point});
    return ok_status();
  }
  row_scale = row_scale_of(largest_magnitude(weight.row(row)), spec_.scale_dtype);
  if (!std::isfinite(row_scale)) return unrepresentable(spec_, row, largest_magnitude(weight.row(row)));
  for (std::int64_t group = 0; group < num_groups_; ++group) {
    const Columns columns = columns_of(group);
    set_group(row, group,
              find_group(weight.row(row).subspan(columns.first, columns.count), weights_of(columns), row_scale));
  }
  return ok_status();
}

Status TwoLevelGrid::find(ConstMatrixView weight, sys::ThreadPool& pool) {
  std::vector<std::uint8_t> failed(static_cast<std::size_t>(matrix_.rows), 0);
  pool.parallel_for(ceil_div(matrix_.rows, kRowsPerTask), [&](std::int64_t task) {
    const std::int64_t end = std::min((task + 1) * kRowsPerTask, matrix_.rows);
    for (std::int64_t row = task * kRowsPerTask; row < end; ++row) {
      failed[static_cast<std::size_t>(row)] = find_row(weight, row).ok() ? 0 : 1;
    }
  });
  const auto first = std::find(failed.begin(), failed.end(), 1);
  return first == failed.end() ? ok_status() : find_row(weight, first - failed.begin());
}

void TwoLevelGrid::find_groups_in_windows(std::span<const std::int32_t> order) {
  if (matrix_.group_size >= matrix_.cols) return;  // the row scale is the group's: it stays
  QUERNEL_CHECK(open_in_windows(order), "an order that scatters groups");
}

void TwoLevelGrid::open_window(RowTile tile, std::int64_t window, std::span<const std::int32_t> columns,
                               ConstMatrixView targets) {
  const std::vector<float> weights = weights_of(columns);
  const std::int64_t group = group_of_window_[static_cast<std::size_t>(window)];
  for (std::int64_t i = 0; i < tile.count; ++i) {
    const std::int64_t row = tile.first + i;
    set_group(row, group,
              find_group(without_held_out(row, columns, targets.row(i)), weights,
                         matrix_.levels->row_scales[static_cast<std::size_t>(row)]));
  }
}

}  // namespace quernel::quant
