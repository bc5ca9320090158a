// Matrix products with inputs rounded to bf16 and fp32 sums: the three that bound calibration and prefill. 1.6 to 1.9 times
// the rate of fp32 with AVX-512 BF16 on a Zen 5; AMX promises more (not measured).
//
// Shapes   in brackets beside each function; all row-major, with strides
// Exact    results do not depend on the number of threads; a row of gemm_nt depends on that row of `a` and on `b` alone.
//          Variants may differ in the order of sums.
// Error    per element, with S = sum |a_k b_k| in exact arithmetic and K terms:
//          |out - exact| <= (2^-7 + 2^-16 + (K + 2) * 2^-23) * S + K * 2^-125: the roundings of both inputs, then of
//          the sums. Random signs leave about 2^-9 * sqrt(sum (a_k b_k)^2). Subnormal numbers count as zero (the last
//          term). Not fit for infinities or NaN beyond this: they stay infinite or NaN in the elements they touch.
// Memory   packed copies of the inputs: 12 MiB for gemm_nt (k up to 10 thousand), 3 KiB * (n1 + n2) for the sums over rows
// Threads  the pool passed in
#pragma once

#include <cstdint>

#include "sys/thread_pool.h"
#include "tensor/matrix.h"

namespace quernel::kernels::gemm_bf16 {

// Whether these products beat fp32 on this CPU: AMX, or AVX-512 BF16 of AMD (Intel's vector form runs at half the rate
// of fp32 FMA; on a Zen 5 these products take 0.52 to 0.61 of the fp32 library's time). Elsewhere use tensor/linalg.h.
bool fast_bf16();
const char* variant_name();  // "gemm_bf16/avx512_bf16"

using Bf16View = BasicView<const std::uint16_t>;

// out [m, n] = a [m, k] * b [n, k]^T (+ out if accumulate).
void gemm_nt(ConstMatrixView a, ConstMatrixView b, MatrixView out, bool accumulate, sys::ThreadPool& pool);
void gemm_nt(ConstMatrixView a, Bf16View b, MatrixView out, bool accumulate, sys::ThreadPool& pool);

// out [n, n] += x [rows, n]^T * x; only the lower triangle is written.
void syrk_accumulate(ConstMatrixView x, MatrixView out, sys::ThreadPool& pool);
// out [n1, n2] += x [rows, n1]^T * y [rows, n2].
void gemm_tn_accumulate(ConstMatrixView x, ConstMatrixView y, MatrixView out, sys::ThreadPool& pool);

}  // namespace quernel::kernels::gemm_bf16
