// The two-level INT4 layout of our own checkpoints: QoQ's integer group scales under one float scale a row.
//
// Shapes   N = rows, K = cols, G = groups of a row; all arrays row-major, no padding between rows
// Layout   codes  U8 [N, ceil(K / 2)]  byte j of a row: code of column 2j in bits 0-3, of column 2j + 1 in bits 4-7 (0 past K)
//          groups U8 [N, G]            byte g: zero point in bits 0-3, group scale - 1 in bits 4-7
//          scales F16 or BF16 [N]      row scale, finite, above 0
//          where the matrix has n outliers, else neither:
//          outlier_index  I32 [n, 2]   row, column; rising
//          outlier_values F32 [n]      what stands in their place; the codes there are zero points
// Formula  weight = row_scale * (group_scale * (code - zero_point)); the inner product is the INT8 value
// Exact    unpack(pack(x)) == x
// Errors   unpack: corrupt, naming the tensor's suffix: shape, type, a group whose codes would leave INT8, a scale that is none,
//          bits past the last column that are not 0, one tensor of the list without the other, or a list that validate() refuses
// Threads  pure functions
// Source   docs/format.md; golden bytes in tests/codec/two_level_test.cpp; QServe, arXiv 2405.04532, section 4
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "codec/integer_matrix.h"
#include "tensor/tensor_view.h"

namespace quernel::codec {

// The matrix has levels and contiguous groups.
std::vector<std::byte> two_level_codes(const IntegerMatrix& matrix);
std::vector<std::byte> two_level_groups(const IntegerMatrix& matrix);
std::vector<std::byte> two_level_scales(const IntegerMatrix& matrix);
std::vector<std::byte> outlier_index(const IntegerMatrix& matrix);
std::vector<std::byte> outlier_values(const IntegerMatrix& matrix);

struct TwoLevelViews {
  TensorView codes;
  TensorView groups;
  TensorView scales;
  std::optional<TensorView> outlier_index{};
  std::optional<TensorView> outlier_values{};
};
struct TwoLevelLayout {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t group_size = 128;  // -1: one group a row
  bool symmetric = false;
};

Result<IntegerMatrix> unpack_two_level(const TwoLevelViews& views, const TwoLevelLayout& layout);

}  // namespace quernel::codec
