#include "codec/integer_matrix.h"

#include <fmt/format.h>

#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "base/checked.h"
#include "tensor/half.h"

namespace quernel::codec {
namespace {

Error corrupt(const char* field, std::string message) {
  return Error(Fault::corrupt, std::move(message)).in_field(field);
}

Status check_size(const char* field, std::size_t found, std::int64_t rows, std::int64_t cols) {
  const std::optional<std::int64_t> expected = checked_mul(rows, cols);
  if (expected && std::cmp_equal(*expected, found)) return {};
  return corrupt(field, "wrong number of entries").expect(fmt::format("{} x {}", rows, cols), fmt::format("{}", found));
}

Status check_header(const IntegerMatrix& matrix) {
  if (matrix.rows < 0 || matrix.cols < 0) {
    return corrupt("shape", "negative shape").expect("0 or more", fmt::format("{} x {}", matrix.rows, matrix.cols));
  }
  if (matrix.bits != 2 && matrix.bits != 3 && matrix.bits != 4 && matrix.bits != 8) {
    return corrupt("bits", "bit width is not known").expect("2, 3, 4 or 8", fmt::format("{}", matrix.bits));
  }
  if (matrix.group_size < 1) {
    return corrupt("group_size", "group size is not positive")
        .expect("1 or more", fmt::format("{}", matrix.group_size));
  }
  if (matrix.scale_dtype != DType::f16 && matrix.scale_dtype != DType::bf16 && matrix.scale_dtype != DType::f32) {
    return corrupt("scale_dtype", "not a type of scales")
        .expect("F16, BF16 or F32", std::string(to_string(matrix.scale_dtype)));
  }
  return {};
}

// Where entry `index` of a [rows, width] array lies.
std::string place(std::size_t index, std::int64_t width, const char* column_name) {
  const auto columns = static_cast<std::size_t>(width);
  return fmt::format("row {}, {} {}", index / columns, column_name, index % columns);
}

Status check_codes(const char* field, const std::vector<std::uint8_t>& codes, std::int64_t width,
                   const char* column_name, int bits) {
  const unsigned limit = 1U << static_cast<unsigned>(bits);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    if (codes[i] < limit) continue;
    return corrupt(field, fmt::format("value at {} does not fit {} bits", place(i, width, column_name), bits))
        .expect(fmt::format("below {}", limit), fmt::format("{}", codes[i]));
  }
  return {};
}

bool is_value_of(float value, DType dtype) {
  if (dtype == DType::f16) return f16_to_float(float_to_f16(value)) == value;
  if (dtype == DType::bf16) return bf16_to_float(float_to_bf16(value)) == value;
  return true;
}

Status check_scales(const IntegerMatrix& matrix) {
  const std::int64_t groups = matrix.num_groups();
  for (std::size_t i = 0; i < matrix.scales.size(); ++i) {
    const float scale = matrix.scales[i];
    if (!std::isfinite(scale) || scale <= 0.0F) {
      return corrupt("scales", fmt::format("scale at {} is no scale", place(i, groups, "group")))
          .expect("finite and above 0", fmt::format("{}", scale));
    }
    if (!matrix.levels && !is_value_of(scale, matrix.scale_dtype)) {
      return corrupt("scales", fmt::format("scale at {} is not rounded to its type", place(i, groups, "group")))
          .expect(fmt::format("a value of {}", to_string(matrix.scale_dtype)), fmt::format("{}", scale));
    }
  }
  return {};
}

Status check_row_scales(const IntegerMatrix& matrix, const std::vector<float>& scales) {
  QUERNEL_TRY_STATUS(check_size("row_scales", scales.size(), matrix.rows, 1));
  for (std::size_t row = 0; row < scales.size(); ++row) {
    if (std::isfinite(scales[row]) && scales[row] > 0.0F && is_value_of(scales[row], matrix.scale_dtype)) continue;
    return corrupt("row_scales", fmt::format("scale of row {} is no scale of its type", row))
        .expect(fmt::format("a value of {} above 0", to_string(matrix.scale_dtype)), fmt::format("{}", scales[row]));
  }
  return {};
}

// Two levels: products are what `scales` says, and no code leaves INT8.
Status check_levels(const IntegerMatrix& matrix) {
  if (!matrix.levels) return {};
  if (matrix.bits != 4) return corrupt("bits", "two levels hold 4 bits").expect("4", fmt::format("{}", matrix.bits));
  if (matrix.scale_dtype == DType::f32)
    return corrupt("scale_dtype", "row scales have 16 bits").expect("F16 or BF16", "F32");
  const std::int64_t groups = matrix.num_groups();
  QUERNEL_TRY_STATUS(check_row_scales(matrix, matrix.levels->row_scales));
  const std::vector<std::uint8_t>& group_scales = matrix.levels->group_scales;
  QUERNEL_TRY_STATUS(check_size("group_scales", group_scales.size(), matrix.rows, groups));
  for (std::size_t i = 0; i < group_scales.size(); ++i) {
    const int scale = group_scales[i];
    if (scale < 1 || scale > kMaxGroupScale || !fits_int8(scale, matrix.zero_points[i], matrix.bits)) {
      return corrupt("group_scales", fmt::format("{} leaves the range of INT8", place(i, groups, "group")))
          .expect("codes within [-128, 127]", fmt::format("scale {}, zero point {}", scale, matrix.zero_points[i]));
    }
    const float product = matrix.levels->row_scales[i / static_cast<std::size_t>(groups)] * static_cast<float>(scale);
    if (matrix.scales[i] != product) {
      return corrupt("scales", fmt::format("scale at {} is not the product of its levels", place(i, groups, "group")))
          .expect(fmt::format("{}", product), fmt::format("{}", matrix.scales[i]));
    }
  }
  return {};
}

Status check_zero_points(const IntegerMatrix& matrix) {
  const std::int64_t groups = matrix.num_groups();
  QUERNEL_TRY_STATUS(check_codes("zero_points", matrix.zero_points, groups, "group", matrix.bits));
  if (!matrix.symmetric) return {};
  const unsigned middle = 1U << static_cast<unsigned>(matrix.bits - 1);
  for (std::size_t i = 0; i < matrix.zero_points.size(); ++i) {
    if (matrix.zero_points[i] == middle) continue;
    return corrupt("zero_points", fmt::format("zero point at {} of a symmetric matrix", place(i, groups, "group")))
        .expect(fmt::format("{}", middle), fmt::format("{}", matrix.zero_points[i]));
  }
  return {};
}

Status check_groups(const IntegerMatrix& matrix) {
  const std::int64_t groups = matrix.num_groups();
  for (std::size_t i = 0; i < matrix.group_of_column.size(); ++i) {
    const std::int64_t group = matrix.group_of_column[i];
    if (group >= 0 && group < groups) continue;
    return corrupt("group_of_column", fmt::format("group of column {} does not exist", i))
        .expect(fmt::format("0 .. {}", groups - 1), fmt::format("{}", group));
  }
  return {};
}

// The code that stands for 0 in this place.
int zero_code(const IntegerMatrix& matrix, const Outlier& outlier) {
  const std::int64_t group = matrix.group_of_column[static_cast<std::size_t>(outlier.col)];
  return matrix.zero_points[static_cast<std::size_t>(outlier.row * matrix.num_groups() + group)];
}

// After codes and groups.
Status check_outliers(const IntegerMatrix& matrix) {
  const std::vector<Outlier>& outliers = matrix.outliers;
  if (std::cmp_greater(outliers.size(), kMaxOutliers)) {
    return corrupt("outliers", "more outliers than a matrix may have")
        .expect(fmt::format("at most {}", kMaxOutliers), fmt::format("{}", outliers.size()));
  }
  for (std::size_t i = 0; i < outliers.size(); ++i) {
    const Outlier& one = outliers[i];
    const std::string where = fmt::format("outlier {} at row {}, column {}", i, one.row, one.col);
    if (one.row < 0 || one.row >= matrix.rows || one.col < 0 || one.col >= matrix.cols) {
      return corrupt("outliers", where + " lies outside the matrix")
          .expect(fmt::format("within {} x {}", matrix.rows, matrix.cols), fmt::format("{}, {}", one.row, one.col));
    }
    if (!std::isfinite(one.value)) {
      return corrupt("outliers", where + " is no number").expect("a finite value", fmt::format("{}", one.value));
    }
    if (i > 0 && std::pair(one.row, one.col) <= std::pair(outliers[i - 1].row, outliers[i - 1].col)) {
      return corrupt("outliers", where + " does not follow the one before it").expect("rising row, column", "another");
    }
    const int code = matrix.codes[static_cast<std::size_t>(one.row * matrix.cols + one.col)];
    if (code != zero_code(matrix, one)) {
      return corrupt("outliers", where + " stands over a code that is not 0")
          .expect(fmt::format("{}", zero_code(matrix, one)), fmt::format("{}", code));
    }
  }
  return {};
}

// One row, groups in the ordinary layout: scale and zero point stay in registers over a group.
void dequantize_contiguous(const std::uint8_t* codes, const float* scales, const std::uint8_t* zero_points,
                           std::int64_t group_size, std::span<float> out) {
  const auto cols = static_cast<std::int64_t>(out.size());
  for (std::int64_t first = 0, group = 0; first < cols; first += group_size, ++group) {
    const float scale = scales[group];
    const std::int32_t zero_point = zero_points[group];
    const std::int64_t count = std::min(group_size, cols - first);
    const std::uint8_t* code = codes + first;
    float* value = out.data() + first;
    for (std::int64_t k = 0; k < count; ++k) value[k] = scale * static_cast<float>(code[k] - zero_point);
  }
}

void dequantize_gathered(const std::uint8_t* codes, const float* scales, const std::uint8_t* zero_points,
                         const std::int32_t* group_of_column, std::span<float> out) {
  for (std::size_t k = 0; k < out.size(); ++k) {
    const std::int32_t group = group_of_column[k];
    out[k] = scales[group] * static_cast<float>(codes[k] - zero_points[group]);
  }
}

}  // namespace

std::int64_t num_groups(std::int64_t cols, std::int64_t group_size) {
  QUERNEL_CHECK(cols >= 0 && group_size >= 1, "groups of {} in {} columns", group_size, cols);
  return ceil_div(cols, group_size);
}

std::vector<std::int32_t> contiguous_groups(std::int64_t cols, std::int64_t group_size) {
  QUERNEL_CHECK(cols >= 0 && group_size >= 1, "groups of {} in {} columns", group_size, cols);
  std::vector<std::int32_t> groups(static_cast<std::size_t>(cols));
  for (std::int64_t k = 0; k < cols; ++k) {
    groups[static_cast<std::size_t>(k)] = static_cast<std::int32_t>(k / group_size);
  }
  return groups;
}

std::int64_t IntegerMatrix::num_groups() const { return codec::num_groups(cols, group_size); }

bool IntegerMatrix::has_contiguous_groups() const {
  for (std::int64_t k = 0; k < cols; ++k) {
    if (group_of_column[static_cast<std::size_t>(k)] != k / group_size) return false;
  }
  return true;
}

void dequantize(const IntegerMatrix& matrix, MatrixView out) {
  QUERNEL_CHECK(out.rows == matrix.rows && out.cols == matrix.cols, "dequantize {} x {} into {} x {}", matrix.rows,
                matrix.cols, out.rows, out.cols);
  const std::int64_t groups = matrix.num_groups();
  const bool contiguous = matrix.has_contiguous_groups();
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    const std::uint8_t* codes = matrix.codes.data() + row * matrix.cols;
    const float* scales = matrix.scales.data() + row * groups;
    const std::uint8_t* zero_points = matrix.zero_points.data() + row * groups;
    if (contiguous) {
      dequantize_contiguous(codes, scales, zero_points, matrix.group_size, out.row(row));
    } else {
      dequantize_gathered(codes, scales, zero_points, matrix.group_of_column.data(), out.row(row));
    }
  }
  for (const Outlier& one : matrix.outliers) out(one.row, one.col) = one.value;
}

Matrix dequantize(const IntegerMatrix& matrix) {
  Matrix out = Matrix::uninitialized(matrix.rows, matrix.cols);
  dequantize(matrix, out);
  return out;
}

Status validate(const IntegerMatrix& matrix) {
  QUERNEL_TRY_STATUS(check_header(matrix));
  const std::int64_t groups = matrix.num_groups();
  QUERNEL_TRY_STATUS(check_size("codes", matrix.codes.size(), matrix.rows, matrix.cols));
  QUERNEL_TRY_STATUS(check_size("scales", matrix.scales.size(), matrix.rows, groups));
  QUERNEL_TRY_STATUS(check_size("zero_points", matrix.zero_points.size(), matrix.rows, groups));
  QUERNEL_TRY_STATUS(check_size("group_of_column", matrix.group_of_column.size(), matrix.cols, 1));
  QUERNEL_TRY_STATUS(check_groups(matrix));
  QUERNEL_TRY_STATUS(check_codes("codes", matrix.codes, matrix.cols, "column", matrix.bits));
  QUERNEL_TRY_STATUS(check_zero_points(matrix));
  QUERNEL_TRY_STATUS(check_scales(matrix));
  QUERNEL_TRY_STATUS(check_levels(matrix));
  return check_outliers(matrix);
}

double bits_per_weight(const IntegerMatrix& matrix) {
  if (matrix.rows == 0 || matrix.cols == 0) return 0.0;
  constexpr double kOutlierBits = 96.0;  // row, column, value
  const double outliers = kOutlierBits * static_cast<double>(matrix.outliers.size()) /
                          (static_cast<double>(matrix.rows) * static_cast<double>(matrix.cols));
  if (matrix.levels) {
    const double group_bits = 8.0 * static_cast<double>(matrix.num_groups());  // scale and zero point share a byte
    return matrix.bits + (group_bits + 16.0) / static_cast<double>(matrix.cols) + outliers;
  }
  const auto scale_bits = static_cast<double>(8 * size_of(matrix.scale_dtype));
  const double group_bits = scale_bits + (matrix.symmetric ? 0.0 : matrix.bits);
  return matrix.bits + group_bits * static_cast<double>(matrix.num_groups()) / static_cast<double>(matrix.cols) +
         outliers;
}

}  // namespace quernel::codec
