// Integers of 2, 3, 4 or 8 bits with a scale and a zero point a group: the grid of RTN and GPTQ.
//
// Errors   limit_exceeded where a scale does not fit scale_dtype, naming row and group
// Threads  see grid.h
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "quant/grouped_grid.h"
#include "quant/layer_stats.h"
#include "quant/scale_search.h"
#include "quant/spec.h"
#include "sys/thread_pool.h"

namespace quernel::quant {

// The grid of one group: its weights, and their importance. A finder serves one thread; each thread makes its own.
using GroupFinder = std::function<GroupGrid(std::span<const float> values, std::span<const float> importance)>;
using MakeGroupFinder = std::function<GroupFinder()>;

class IntegerGrid final : public GroupedGrid {
 public:
  // column_weights [cols]: importance of each column in the scale search, finite, above 0.
  IntegerGrid(std::int64_t rows, std::int64_t cols, const GridSpec& spec, std::vector<float> column_weights);

  // Finds every group's grid on these weights [rows, cols], groups of neighbouring columns. Without `make_finder` it is
  // GridFinder's.
  Status find_groups(ConstMatrixView weight, sys::ThreadPool& pool, const MakeGroupFinder& make_finder = {});
  // Instead: grids that the caller has found, every (row, group) once; a row by one thread.
  void take_group(std::int64_t row, std::int64_t group, float scale, std::int32_t zero_point) {
    set_levels(row, group, scale, zero_point);
  }
  // Instead: a group's grid is found when the solver reaches it. `order` [cols] is the solver's; where it keeps groups
  // together (natural, group-aware) they stay the neighbouring columns, else group i is the i-th window of the order.
  void find_groups_in_windows(std::span<const std::int32_t> order);

  // False where open_window met a group whose scale does not fit, or weights that are not finite.
  [[nodiscard]] bool windows_representable() const;

  void open_window(RowTile tile, std::int64_t window, std::span<const std::int32_t> columns,
                   ConstMatrixView targets) override;

 private:
  std::vector<std::uint8_t> row_failed_;  // [rows] 1 where a window of the row was not representable
};

// limit_exceeded: what to say where a group of this row has weights whose scale GridSpec::scale_dtype cannot hold.
Error unrepresentable_scale(const GridSpec& spec, ConstMatrixView weight, std::int64_t row, std::int64_t group);

// Importance of columns for the search: diag(H) over its mean, floored so that a column which calibration never saw
// still counts; all 1 where there are no usable statistics or the search is not weighted.
//
// Tried for GPTQ and left: what feedback cannot make up for (1 / U_jj^2, its own measure of an error in column j), and the
// geometric mean of both. They lower tr(E H E^T) by a tenth and yet raise the whole model's divergence by a tenth.
std::vector<float> search_weights(const LayerStats* stats, const GridSpec& spec, std::int64_t cols);

}  // namespace quernel::quant
