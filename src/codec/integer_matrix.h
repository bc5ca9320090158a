// A weight matrix quantized to integers of 2, 3, 4 or 8 bits with group scales: the neutral form between solver and writers.
//
// Shapes   rows = out_features (N), cols = in_features (K), G = number of groups
// Layout   codes [rows, cols] one byte each, 0 .. 2^bits - 1, in the model's own column order; scales and zero_points [rows, G]
// Formula  weight = scale * (code - zero_point)
// Exact    scale holds a value of scale_dtype and |code - zero_point| < 2^9, so the product is exact in float
// Groups   column k belongs to group_of_column[k]; without act-order that is k / group_size (the last group may be shorter)
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "tensor/dtype.h"
#include "tensor/matrix.h"

namespace quernel::codec {

struct IntegerMatrix {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  int bits = 4;
  std::int64_t group_size = 128;  // elements along cols; equal to cols for one group a row
  bool symmetric = false;         // every zero_point is 2^(bits - 1)
  DType scale_dtype = DType::f16;
  std::vector<std::uint8_t> codes;            // [rows, cols]
  std::vector<float> scales;                  // [rows, num_groups], values of scale_dtype, finite, above 0
  std::vector<std::uint8_t> zero_points;      // [rows, num_groups], 0 .. 2^bits - 1
  std::vector<std::int32_t> group_of_column;  // [cols]

  [[nodiscard]] std::int64_t num_groups() const;
  [[nodiscard]] bool has_contiguous_groups() const;  // group_of_column[k] == k / group_size for all k
};

std::int64_t num_groups(std::int64_t cols, std::int64_t group_size);
std::vector<std::int32_t> contiguous_groups(std::int64_t cols, std::int64_t group_size);

// out [rows, cols] = scale * (code - zero_point).
void dequantize(const IntegerMatrix& matrix, MatrixView out);
Matrix dequantize(const IntegerMatrix& matrix);

// Shapes agree, codes and zero points fit their bits, scales are finite and positive. Errors: corrupt, naming the field.
Status validate(const IntegerMatrix& matrix);

// Bits that a checkpoint spends a weight: codes, scales (16 or 32 bits) and, unless symmetric, zero points.
double bits_per_weight(const IntegerMatrix& matrix);

}  // namespace quernel::codec
