// Integer matrices for the tests of packed layouts.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <tuple>
#include <vector>

#include "codec/int_pack.h"
#include "codec/integer_matrix.h"
#include "tensor/tensor_view.h"

namespace quernel::codec {

using Words = std::vector<std::uint32_t>;

inline std::uint64_t next(std::uint64_t& state) {
  state = state * 6364136223846793005ULL + 1442695040888963407ULL;
  return state >> 33;
}

// A scale that f16 and bf16 both hold exactly: 8 significant bits.
inline float random_scale(std::uint64_t& state) { return static_cast<float>(128 + next(state) % 128) / 65536.0F; }

inline IntegerMatrix random_matrix(std::int64_t rows, std::int64_t cols, int bits, std::int64_t group_size,
                                   bool symmetric, DType scale_dtype = DType::f16) {
  std::uint64_t state = static_cast<std::uint64_t>(rows * 1000003 + cols * 101 + bits * 7 + group_size);
  IntegerMatrix matrix;
  matrix.rows = rows;
  matrix.cols = cols;
  matrix.bits = bits;
  matrix.group_size = group_size;
  matrix.symmetric = symmetric;
  matrix.scale_dtype = scale_dtype;
  matrix.codes.resize(static_cast<std::size_t>(rows * cols));
  for (auto& code : matrix.codes) code = static_cast<std::uint8_t>(next(state) % (1ULL << bits));
  const auto num_scales = static_cast<std::size_t>(rows * matrix.num_groups());
  matrix.scales.resize(num_scales);
  for (float& scale : matrix.scales) scale = random_scale(state);
  matrix.zero_points.resize(num_scales);
  for (auto& zero : matrix.zero_points) {
    zero = static_cast<std::uint8_t>(symmetric ? 1U << (bits - 1) : next(state) % (1ULL << bits));
  }
  matrix.group_of_column = contiguous_groups(cols, group_size);
  return matrix;
}

inline void expect_same(const IntegerMatrix& a, const IntegerMatrix& b) {
  EXPECT_EQ(a.rows, b.rows);
  EXPECT_EQ(a.cols, b.cols);
  EXPECT_EQ(a.bits, b.bits);
  EXPECT_EQ(a.group_size, b.group_size);
  EXPECT_EQ(a.symmetric, b.symmetric);
  EXPECT_EQ(a.scale_dtype, b.scale_dtype);
  EXPECT_EQ(a.codes, b.codes);
  EXPECT_EQ(a.scales, b.scales);
  EXPECT_EQ(a.zero_points, b.zero_points);
  EXPECT_EQ(a.group_of_column, b.group_of_column);
}

template <class T>
TensorView view(DType dtype, Shape shape, const std::vector<T>& values) {
  return {dtype, std::move(shape), std::as_bytes(std::span(values))};
}

// One output of 8 inputs with codes 0 .. 7, and one of codes 8 .. 15.
inline IntegerMatrix two_rows() {
  IntegerMatrix matrix = random_matrix(8, 8, 4, 8, true);
  for (std::size_t i = 0; i < matrix.codes.size(); ++i) matrix.codes[i] = static_cast<std::uint8_t>((i + i / 8) % 16);
  return matrix;
}

using Case = std::tuple<int, std::int64_t, std::int64_t, bool>;  // bits, cols, group_size, symmetric

inline auto all_cases() {
  return testing::Combine(testing::Values(2, 3, 4, 8), testing::Values(32, 96, 100, 256),
                          testing::Values(16, 32, 64, 128, 1024), testing::Bool());
}

}  // namespace quernel::codec
