#include "calib/hessian.h"

#include "kernels/gemm_bf16/products.h"
#include "tensor/linalg.h"

namespace quernel::calib {

void accumulate_hessian(ConstMatrixView x, runtime::Precision precision, MatrixView hessian, sys::ThreadPool& pool) {
  QUERNEL_CHECK(hessian.rows == x.cols && hessian.cols == x.cols, "[{}, {}] for {} columns", hessian.rows, hessian.cols,
                x.cols);
  if (runtime::effective(precision) == runtime::Precision::bf16) {
    kernels::gemm_bf16::syrk_accumulate(x, hessian, pool);
  } else {
    syrk_accumulate(x, hessian, pool);
  }
}

void accumulate_product(ConstMatrixView a, ConstMatrixView b, runtime::Precision precision, MatrixView out,
                        sys::ThreadPool& pool) {
  if (runtime::effective(precision) == runtime::Precision::bf16) {
    kernels::gemm_bf16::gemm_tn_accumulate(a, b, out, pool);
  } else {
    gemm_tn_accumulate(a, b, out, pool);
  }
}

void finish_hessian(MatrixView hessian) { mirror_lower(hessian); }

}  // namespace quernel::calib
