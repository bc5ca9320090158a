// Linear layers of the float runtime: out = x weight^T + bias.
//
// Shapes   x [tokens, weight.cols], out [tokens, weight.rows]
// Exact    results do not depend on threads. Calls of at most kFewRows rows read the weight once for all of them (decoding),
//          calls of more rows multiply matrices: another order of sums. Within each kind a row of out depends on its row of x
//          alone, except in f32 calls of more than kFewRows rows: there OpenBLAS decides. Its AVX-512 kernels treat rows
//          alike but for products of some 1000 outputs, its AVX2 kernels do not (rows 6..11 of each 12 sum differently).
// Threads  the pool passed in
#pragma once

#include <cstdint>
#include <span>

#include "runtime/layer_weights.h"
#include "runtime/precision.h"
#include "sys/thread_pool.h"
#include "tensor/matrix.h"

namespace quernel::runtime {

constexpr std::int64_t kFewRows = 8;  // up to here reading the weight bounds the time, not arithmetic

void apply_linear(const LinearWeight& weight, ConstMatrixView x, MatrixView out, Precision precision,
                  sys::ThreadPool& pool);

// Several layers of one input; while decoding the threads meet once for all of them.
struct LinearCall {
  const LinearWeight* weight;
  MatrixView out;
};
void apply_linears(std::span<const LinearCall> calls, ConstMatrixView x, Precision precision, sys::ThreadPool& pool);

}  // namespace quernel::runtime
