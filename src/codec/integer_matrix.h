// A weight matrix quantized to integers of 2, 3, 4 or 8 bits with group scales: the neutral form between solver and writers.
//
// Shapes   rows = out_features (N), cols = in_features (K), G = number of groups
// Layout   codes [rows, cols] one byte each, 0 .. 2^bits - 1, in the model's own column order; scales and zero_points [rows, G]
// Formula  weight = scale * (code - zero_point)
// Exact    scale holds a value of scale_dtype and |code - zero_point| < 2^9, so the product is exact in float
// Levels   a matrix of two levels (QoQ) has integer group scales under one float scale a row: scale = row_scale * group_scale
//          and the INT8 value group_scale * (code - zero_point) of every one of the 16 codes lies in [-128, 127], so that a sum
//          over a whole row stays in integers. row_scale has 11 significant bits at most, group_scale 5: the product is exact
// Groups   column k belongs to group_of_column[k]; without act-order that is k / group_size (the last group may be shorter)
// Outliers a few single weights that are kept as they are: their value stands in place of the grid's. The code under it is the
//          zero point, so that the grid's value there is 0 and a product may add value * input to what the codes give
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "tensor/dtype.h"
#include "tensor/matrix.h"

namespace quernel::codec {

inline constexpr int kMaxGroupScale = 16;  // a range of 2 * 119 over 15 steps, rounded

struct IntegerLevels {
  std::vector<float> row_scales;           // [rows], values of scale_dtype (F16 or BF16), finite, above 0
  std::vector<std::uint8_t> group_scales;  // [rows, num_groups], 1 .. kMaxGroupScale
};

// Super weights are one to six of a whole model (arXiv 2411.07191); a list that grows is a format of its own (sparse).
inline constexpr std::int64_t kMaxOutliers = 1024;

struct Outlier {
  std::int32_t row = 0;
  std::int32_t col = 0;
  float value = 0.0F;  // finite
  bool operator==(const Outlier&) const = default;
};

struct IntegerMatrix {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  int bits = 4;
  std::int64_t group_size = 128;              // elements along cols; equal to cols for one group a row
  bool symmetric = false;                     // every zero_point is 2^(bits - 1)
  DType scale_dtype = DType::f16;             // with levels: of the row scales
  std::vector<std::uint8_t> codes;            // [rows, cols]
  std::vector<float> scales;                  // [rows, num_groups], values of scale_dtype, finite, above 0
  std::vector<std::uint8_t> zero_points;      // [rows, num_groups], 0 .. 2^bits - 1
  std::vector<std::int32_t> group_of_column;  // [cols]
  std::optional<IntegerLevels> levels;        // 4 bits only; scales are then their products
  std::vector<Outlier> outliers;              // by row, then column; no place twice; at most kMaxOutliers

  [[nodiscard]] std::int64_t num_groups() const;
  [[nodiscard]] bool has_contiguous_groups() const;  // group_of_column[k] == k / group_size for all k
};

std::int64_t num_groups(std::int64_t cols, std::int64_t group_size);
std::vector<std::int32_t> contiguous_groups(std::int64_t cols, std::int64_t group_size);

// out [rows, cols] = scale * (code - zero_point), or the outlier's value.
void dequantize(const IntegerMatrix& matrix, MatrixView out);
Matrix dequantize(const IntegerMatrix& matrix);

// Whether every code of a group stays within INT8: the condition on a group of two levels.
constexpr bool fits_int8(int group_scale, int zero_point, int bits) {
  return group_scale * zero_point <= 128 && group_scale * ((1 << bits) - 1 - zero_point) <= 127;
}

// Shapes agree, codes and zero points fit their bits, scales are finite and positive, outliers are in order, within the matrix and
// over codes that stand for 0. Errors: corrupt, naming the field.
Status validate(const IntegerMatrix& matrix);

// Bits that a checkpoint spends a weight: codes, scales (16 or 32 bits) and, unless symmetric, zero points; with levels, a
// scale a row and 8 bits a group; 96 bits an outlier (docs/format.md).
double bits_per_weight(const IntegerMatrix& matrix);

}  // namespace quernel::codec
