// The products of products.h with a variant of the caller's choice: tests and benchmarks. Shapes and bounds as there.
#pragma once

#include "kernels/gemm_bf16/products.h"
#include "kernels/gemm_bf16/table.h"

namespace quernel::kernels::gemm_bf16 {

void gemm_nt_with(const Functions& functions, ConstMatrixView a, ConstMatrixView b, MatrixView out, bool accumulate,
                  sys::ThreadPool& pool);
void gemm_nt_with(const Functions& functions, ConstMatrixView a, Bf16View b, MatrixView out, bool accumulate,
                  sys::ThreadPool& pool);
void syrk_accumulate_with(const Functions& functions, ConstMatrixView x, MatrixView out, sys::ThreadPool& pool);
void gemm_tn_accumulate_with(const Functions& functions, ConstMatrixView x, ConstMatrixView y, MatrixView out,
                             sys::ThreadPool& pool);

}  // namespace quernel::kernels::gemm_bf16
