// The AWQ checkpoint layout ("gemm") of one linear layer <-> IntegerMatrix. 4 bits.
//
// Shapes   N = rows (out_features), a multiple of 8; K = cols (in_features), a multiple of the group size; G = groups
// Layout   qweight [K, N / 8]: the codes of an input run along its row, eight outputs a word; qzeros [G, N / 8]: the
//          same; scales [G, N]
// Order    bits 4i .. 4i+3 of word c hold output 8c + {0, 2, 4, 6, 1, 3, 5, 7}[i]
// Formula  weight[n, k] = scales[k / group_size, n] * (code - zero); zeros are stored as they are
// Groups   contiguous and of full size: the layout has no index of groups
// Exact    unpack_awq(pack_awq(m)) == m wherever the scales are F16 values
// Errors   unpack gives valid matrices only (validate()): corrupt with the tensor's suffix as field, or with shape or
//          group_size where no such layout exists; pack: invalid_argument for what the layout or half precision cannot hold
// Threads  pure functions
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "codec/integer_matrix.h"
#include "tensor/tensor_view.h"

namespace quernel::codec {

inline constexpr int kAwqBits = 4;
inline constexpr std::int64_t kAwqOutputsPerWord = 8;

// Sides that the layout can have. `fault`: whose mistake any others are. Errors: it, with shape or group_size as field.
Status check_awq_sides(std::int64_t rows, std::int64_t cols, std::int64_t group_size, Fault fault);

struct AwqTensors {
  std::vector<std::uint32_t> qweight;  // [K, N / 8], I32
  std::vector<std::uint32_t> qzeros;   // [G, N / 8], I32
  std::vector<std::uint16_t> scales;   // [G, N], F16
};

// One tensor at a time, for writers that stream. 4 bits and N % 8 == 0 are the caller's to see to.
std::vector<std::uint32_t> awq_qweight(const IntegerMatrix& matrix);
std::vector<std::uint32_t> awq_qzeros(const IntegerMatrix& matrix);
Result<std::vector<std::uint16_t>> awq_scales(const IntegerMatrix& matrix);

Result<AwqTensors> pack_awq(const IntegerMatrix& matrix);

struct AwqViews {
  TensorView qweight;
  std::optional<TensorView> qzeros;  // may be absent from symmetric modules only
  TensorView scales;                 // F16, BF16 or F32; becomes IntegerMatrix::scale_dtype
};

struct AwqLayout {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t group_size = 128;  // -1: one group a row
  bool symmetric = false;         // "zero_point": false. Zeros that are stored all the same must be 8
};

Result<IntegerMatrix> unpack_awq(const AwqViews& views, const AwqLayout& layout);

}  // namespace quernel::codec
