// The pack-quantized layout of compressed-tensors of one linear layer <-> IntegerMatrix.
//
// Shapes   N = rows (out_features), K = cols (in_features), G = groups, b = bits
// Layout   weight_packed [N, packed_words(K)]; weight_scale [N, G]; weight_shape = {N, K}
//          weight_zero_point [packed_words(N), G], fields along N, only for asymmetric matrices
// Formula  weight[n, k] = scale * (code - zero). The library names signed values; its packing adds 2^(b-1), which gives
//          our unsigned codes and zeros
// Reading  3, 5, 6, 7 bits before library 0.17: 32 / b codes a word, told apart by the width of weight_packed
// Exact    unpack(pack(m)) == m, scales in any dtype of the three
// Errors   unpack gives valid matrices only (validate()): corrupt with the tensor's suffix as field
// Threads  pure functions
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "codec/integer_matrix.h"
#include "tensor/tensor_view.h"

namespace quernel::codec {

struct PackQuantizedTensors {
  std::vector<std::uint32_t> weight_packed;      // [N, packed_words(K)], I32
  std::vector<std::byte> weight_scale;           // [N, G] in the matrix's scale_dtype
  std::vector<std::uint32_t> weight_zero_point;  // [packed_words(N), G], I32; empty if symmetric
  std::array<std::int64_t, 2> weight_shape{};    // I64
};

// One tensor at a time, for writers that stream.
std::vector<std::uint32_t> quantized_weight_packed(const IntegerMatrix& matrix);
std::vector<std::uint32_t> quantized_zero_points(const IntegerMatrix& matrix);
Result<std::vector<std::byte>> quantized_scales(const IntegerMatrix& matrix, DType stored);  // F16, BF16 or F32

// Groups must be contiguous: the layout has no other (weight_g_idx left the library in 2026).
Result<PackQuantizedTensors> pack_quantized(const IntegerMatrix& matrix);

struct PackQuantizedViews {
  TensorView weight_packed;
  TensorView weight_scale;  // F16, BF16 or F32; [N, G], [N, 1] or [1]
  std::optional<TensorView> weight_zero_point;
  std::optional<TensorView> weight_shape;  // checked against the layout where present
  std::optional<TensorView> weight_g_idx;
};

struct PackQuantizedLayout {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  int bits = 4;
  std::int64_t group_size = 128;  // -1: one group a row
  bool symmetric = true;
};

Result<IntegerMatrix> unpack_quantized(const PackQuantizedViews& views, const PackQuantizedLayout& layout);

}  // namespace quernel::codec
