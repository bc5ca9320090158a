// Linear layers of the float runtime: out = x weight^T + bias.
//
// Shapes   x [tokens, weight.cols], out [tokens, weight.rows]
// Exact    a row of out depends on its row of x alone, not on the other rows nor on threads; but calls of at most
// kFewRows
//          rows read the weight once for all of them (decoding) and sum in another order than calls of more rows
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
