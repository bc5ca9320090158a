#include "kernels/gemm_bf16/products.h"

#include "kernels/gemm_bf16/driver.h"
#include "sys/cpu_detect.h"

namespace quernel::kernels::gemm_bf16 {

bool fast_bf16() {
  switch (pick().isa) {
    case sys::Isa::amx: return true;
    case sys::Isa::avx512_bf16: {
      static const bool amd = sys::cpu_vendor() == "amd";  // a hypervisor answers this question slowly
      return amd;
    }
    default: return false;
  }
}
const char* variant_name() { return pick().name; }

void gemm_nt(ConstMatrixView a, ConstMatrixView b, MatrixView out, bool accumulate, sys::ThreadPool& pool) {
  gemm_nt_with(pick().functions, a, b, out, accumulate, pool);
}
void gemm_nt(ConstMatrixView a, Bf16View b, MatrixView out, bool accumulate, sys::ThreadPool& pool) {
  gemm_nt_with(pick().functions, a, b, out, accumulate, pool);
}
void syrk_accumulate(ConstMatrixView x, MatrixView out, sys::ThreadPool& pool) {
  syrk_accumulate_with(pick().functions, x, out, pool);
}
void gemm_tn_accumulate(ConstMatrixView x, ConstMatrixView y, MatrixView out, sys::ThreadPool& pool) {
  gemm_tn_accumulate_with(pick().functions, x, y, out, pool);
}

}  // namespace quernel::kernels::gemm_bf16
