// The sum of x x^T that all Hessian methods work with.
//
// Shapes   x [rows, n]; hessian [n, n]
// Formula  accumulate: lower triangle of hessian += x^T x; finish: the upper triangle as its mirror image
// Exact    results do not depend on threads. With Precision::bf16 the inputs are rounded to bf16 before they are
//          multiplied (as the runtime's own products do), sums are fp32
// Threads  the pool passed in
#pragma once

#include "runtime/precision.h"
#include "sys/thread_pool.h"
#include "tensor/matrix.h"

namespace quernel::calib {

void accumulate_hessian(ConstMatrixView x, runtime::Precision precision, MatrixView hessian, sys::ThreadPool& pool);
void finish_hessian(MatrixView hessian);

// out [n1, n2] += a [rows, n1]^T b [rows, n2], in the same precision.
void accumulate_product(ConstMatrixView a, ConstMatrixView b, runtime::Precision precision, MatrixView out,
                        sys::ThreadPool& pool);

}  // namespace quernel::calib
