// The GPTQ checkpoint layout of one linear layer <-> IntegerMatrix.
//
// Shapes   N = rows (out_features), K = cols (in_features), G = groups, b = bits
// Layout   qweight [packed_words(K), N]: the codes of an output run down its column; qzeros [G, packed_words(N)]:
// fields along N
//          scales [G, N]; g_idx [K]: the group of each input
// Formula  weight[n, k] = scales[g_idx[k], n] * (code - zero)
// Zeros    v1 ("gptq") stores (zero - 1) mod 2^b in each field; v2 ("gptq_v2") stores zero
// Exact    unpack_gptq(pack_gptq(m)) == m wherever the scales are f16 values
// Errors   unpack gives valid matrices only (validate()): corrupt with the tensor's suffix as field; invalid_argument for scales that half precision cannot hold
// Threads  pure functions
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "codec/integer_matrix.h"
#include "tensor/tensor_view.h"

namespace quernel::codec {

enum class GptqZeros { v1, v2 };

struct GptqTensors {
  std::vector<std::uint32_t> qweight;  // [packed_words(K), N], I32
  std::vector<std::uint32_t> qzeros;   // [G, packed_words(N)], I32
  std::vector<std::uint16_t> scales;   // [G, N], F16
  std::vector<std::int32_t> g_idx;     // [K], I32
};

// One tensor at a time, for writers that stream. v1 wraps a zero of 0 to all ones, which several engines decode as 2^b,
// so writers give v1 to symmetric matrices only.
std::vector<std::uint32_t> gptq_qweight(const IntegerMatrix& matrix);
std::vector<std::uint32_t> gptq_qzeros(const IntegerMatrix& matrix, GptqZeros zeros);
Result<std::vector<std::uint16_t>> gptq_scales(const IntegerMatrix& matrix);

Result<GptqTensors> pack_gptq(const IntegerMatrix& matrix, GptqZeros zeros);

struct GptqViews {
  TensorView qweight;
  TensorView qzeros;
  TensorView scales;                // F16, BF16 or F32; becomes IntegerMatrix::scale_dtype
  std::optional<TensorView> g_idx;  // absent: k / group_size; negative entries count from the end
};

struct GptqLayout {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  int bits = 4;
  std::int64_t group_size = 128;  // -1: one group a row
  bool symmetric = false;         // zeros are 2^(b-1) whatever the file holds, as the fast kernels assume
  GptqZeros zeros = GptqZeros::v1;
};

Result<IntegerMatrix> unpack_gptq(const GptqViews& views, const GptqLayout& layout);

}  // namespace quernel::codec
