// Matrices of two levels for tests.
#pragma once

#include "codec/int_pack_samples.h"
#include "codec/two_level.h"

namespace quernel::codec {

inline IntegerMatrix two_level_sample(std::int64_t rows, std::int64_t cols, std::int64_t group_size,
                                      DType dtype = DType::f16) {
  IntegerMatrix matrix = random_matrix(rows, cols, 4, group_size, false, dtype);
  std::uint64_t state = 77;
  matrix.levels.emplace();
  const auto groups = static_cast<std::size_t>(matrix.num_groups());
  for (std::int64_t row = 0; row < rows; ++row) matrix.levels->row_scales.push_back(random_scale(state));
  for (std::size_t i = 0; i < matrix.scales.size(); ++i) {
    int scale = static_cast<int>(1 + next(state) % kMaxGroupScale);
    while (!fits_int8(scale, matrix.zero_points[i], 4)) --scale;
    matrix.levels->group_scales.push_back(static_cast<std::uint8_t>(scale));
    matrix.scales[i] = matrix.levels->row_scales[i / groups] * static_cast<float>(scale);
  }
  return matrix;
}

// Keeps `value` in this place beside the codes.
inline void keep(IntegerMatrix& matrix, std::int32_t row, std::int32_t col, float value) {
  const std::int64_t group = matrix.group_of_column[static_cast<std::size_t>(col)];
  matrix.codes[static_cast<std::size_t>(row * matrix.cols + col)] =
      matrix.zero_points[static_cast<std::size_t>(row * matrix.num_groups() + group)];
  matrix.outliers.push_back({row, col, value});
}

struct TwoLevelBytes {
  explicit TwoLevelBytes(const IntegerMatrix& matrix)
      : rows(matrix.rows),
        cols(matrix.cols),
        dtype(matrix.scale_dtype),
        codes(two_level_codes(matrix)),
        groups(two_level_groups(matrix)),
        scales(two_level_scales(matrix)),
        index(outlier_index(matrix)),
        values(outlier_values(matrix)) {}
  [[nodiscard]] TwoLevelViews views() const {
    TwoLevelViews out = {.codes = {DType::u8, {rows, (cols + 1) / 2}, codes},
                         .groups = {DType::u8, {rows, static_cast<std::int64_t>(groups.size()) / rows}, groups},
                         .scales = {dtype, {rows}, scales}};
    const auto count = static_cast<std::int64_t>(values.size() / sizeof(float));
    if (count > 0) out.outlier_index = TensorView{DType::i32, {count, 2}, index};
    if (count > 0) out.outlier_values = TensorView{DType::f32, {count}, values};
    return out;
  }
  std::int64_t rows, cols;
  DType dtype;
  std::vector<std::byte> codes, groups, scales, index, values;
};

}  // namespace quernel::codec
