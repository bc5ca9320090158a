// The grid of QoQ: UINT4 codes with an integer scale and zero point a group, inside INT8 with one float scale a row.
//
// Formula  value = row_scale * (group_scale * (code - zero_point)); group_scale 1 .. 16, zero_point 0 .. 15
// Rows     row_scale = absmax / 119, rounded to scale_dtype: of the original weight. 119 is the protective range: the largest p
//          for which plain rounding of any range within [-p, p] dequantizes inside INT8
// Groups   the paper's choice: group_scale = round(range / 15), zero_point = round(-low / group_scale), with low <= 0 <= high in
//          units of row_scale (search minmax); else every pair of scale and zero point is tried and the one of least weighted
//          squared error taken. Only pairs whose 16 codes all lie in INT8 are allowed: error feedback moves weights beyond
//          their range, so what plain rounding reaches is not enough. Nothing is lost: a pair that is left out has no value in
//          INT8 that an allowed pair of the same scale does not have
// One group group_size -1: group_scale 1 and row_scale from the ordinary search (quant/scale_search.h); INT8 holds it anyway
// Edges    all-zero row or group: scale 1 and the middle zero point. A row scale below the smallest of its type: that one
// Errors   limit_exceeded where a row scale does not fit scale_dtype, naming the row
// Threads  see grid.h
// Source   Lin et al., QServe, arXiv 2405.04532, section 4.1
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "quant/grouped_grid.h"
#include "quant/spec.h"
#include "sys/thread_pool.h"
#include "tensor/matrix.h"

namespace quernel::quant {

constexpr int kProtectiveRange = 119;

struct IntegerGroup {
  std::int32_t scale = 1;
  std::int32_t zero_point = 8;
};

// The paper's group of a range in units of the row scale, low <= 0 <= high, before it is held within INT8.
IntegerGroup plain_group(float low, float high);
// The nearest zero point at which every code of this scale lies in INT8.
IntegerGroup held_in_int8(IntegerGroup group);

class TwoLevelGrid final : public GroupedGrid {
 public:
  // spec is valid, 4 bits. column_weights [cols]: as for IntegerGrid.
  TwoLevelGrid(std::int64_t rows, std::int64_t cols, const GridSpec& spec, std::vector<float> column_weights);

  // Row scales, and every group's scale and zero point, from these weights [rows, cols].
  Status find(ConstMatrixView weight, sys::ThreadPool& pool);
  // Groups are found anew when the solver reaches them, under the row scales of find(). `order` [cols] keeps groups together.
  void find_groups_in_windows(std::span<const std::int32_t> order);

  void open_window(RowTile tile, std::int64_t window, std::span<const std::int32_t> columns,
                   ConstMatrixView targets) override;

 private:
  Status find_row(ConstMatrixView weight, std::int64_t row);
  void set_group(std::int64_t row, std::int64_t group, IntegerGroup found);
  [[nodiscard]] IntegerGroup find_group(std::span<const float> values, std::span<const float> weights,
                                        float row_scale) const;
};

}  // namespace quernel::quant
