// Dense algebra over a BLAS/LAPACK library (OpenBLAS, loaded at run time so that its kernels can follow QUERNEL_ISA).
//
// Shapes   in brackets beside each function; all row-major
// Exact    results do not depend on the number of threads: work is cut into tiles by shape alone, each tile is one
//          single-threaded library call; functions with and without a pool agree bit for bit. They may differ between
//          instruction sets, and in the last bits of a row between batches of different numbers of rows.
// Errors   checks for shapes (our bug); Result where the numbers decide (a matrix that is not positive definite)
// Threads  the pool passed in; functions without a pool run in the calling thread and may run inside tasks
#pragma once

#include <string>

#include "base/result.h"
#include "sys/thread_pool.h"
#include "tensor/matrix.h"

namespace quernel {

// out [m, n] = a [m, k] * b [n, k]^T (+ out if accumulate): activations times a weight as checkpoints store it.
void gemm_nt(ConstMatrixView a, ConstMatrixView b, MatrixView out, bool accumulate, sys::ThreadPool& pool);
void gemm_nt(ConstMatrixView a, ConstMatrixView b, MatrixView out, bool accumulate);

// out [m, n] = alpha * a [m, k] * b [k, n] + beta * out; beta == 0 overwrites.
void gemm_nn(ConstMatrixView a, ConstMatrixView b, MatrixView out, float alpha, float beta, sys::ThreadPool& pool);
void gemm_nn(ConstMatrixView a, ConstMatrixView b, MatrixView out, float alpha, float beta);

// out [n, n] += x [rows, n]^T * x; only the lower triangle is written. mirror_lower() fills the rest.
void syrk_accumulate(ConstMatrixView x, MatrixView out, sys::ThreadPool& pool);
// out [n1, n2] += x [rows, n1]^T * y [rows, n2].
void gemm_tn_accumulate(ConstMatrixView x, ConstMatrixView y, MatrixView out, sys::ThreadPool& pool);
void mirror_lower(MatrixView square);

// In place, double precision [n, n]: lower Cholesky factor L with a = L L^T; the strict upper triangle becomes 0.
// Errors: invalid_argument with the pivot where the matrix stops being positive definite, or holds a NaN.
Status cholesky_lower(BasicView<double> a);
// In place, double [n, n] lower triangular: its inverse. Errors: invalid_argument at a zero pivot.
Status invert_lower(BasicView<double> lower);
// Upper Cholesky factor U of a^-1 (a^-1 = U^T U), the factor GPTQ works with; a [n, n] symmetric positive definite.
Result<MatrixF64> inverse_upper_cholesky(const MatrixF64& a);

// Whether the library was found; the program asks once before it begins. Every function above checks it.
// Errors: not_found naming the files tried, unsupported naming the missing function.
Status blas_available();
std::string blas_description();  // "OpenBLAS 0.3.34 SkylakeX"

}  // namespace quernel
