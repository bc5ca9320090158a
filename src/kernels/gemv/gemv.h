// Matrix times a few vectors: y[i][r] = sum_k weight[r][k] * x[i][k], the product of decoding. One pass over the weight
// serves up to kMaxVectors vectors, so it is bound by reading the weight.
//
// Layout   weight [num_rows, num_cols] fp32 or bf16 (16-bit patterns), rows weight_stride elements apart, any address;
//          x [num_vectors, num_cols]; out [num_vectors, num_rows]; nothing overlaps
// Formula  fp32 products and sums. Sixteen partial sums a row, k = lane, lane + 16, ... in rising k by fused multiply-add,
//          then added pairwise: lanes 8 apart, 4, 2, 1.
// Exact    out[i][r] depends on weight row r and x[i] alone: not on num_vectors, nor on which rows one call takes. AVX2
//          and AVX-512 agree bit for bit; the reference rounds each product and differs in last bits.
// Error    |y - exact| <= (num_cols / 16 + 6) * 2^-24 * sum |w x|
// Threads  pure functions; callers split rows between threads (offset weight and out)
#pragma once

#include <cstdint>

namespace quernel::kernels::gemv {

constexpr std::int64_t kMaxVectors = 8;

template <class Weight>
struct Args {
  const Weight* weight = nullptr;
  std::int64_t weight_stride = 0;
  std::int64_t num_rows = 0;
  std::int64_t num_cols = 0;
  const float* x = nullptr;
  std::int64_t x_stride = 0;
  std::int64_t num_vectors = 1;  // 1 .. kMaxVectors
  float* out = nullptr;
  std::int64_t out_stride = 0;  // between vectors
};
using ArgsF32 = Args<float>;
using ArgsBf16 = Args<std::uint16_t>;

using RunF32 = void (*)(const ArgsF32&) noexcept;
using RunBf16 = void (*)(const ArgsBf16&) noexcept;

}  // namespace quernel::kernels::gemv
