#include "runtime/precision.h"

#include "kernels/gemm_bf16/products.h"

namespace quernel::runtime {

Precision effective(Precision wanted) {
  return wanted == Precision::bf16 && kernels::gemm_bf16::fast_bf16() ? Precision::bf16 : Precision::f32;
}

const char* to_string(Precision precision) { return precision == Precision::bf16 ? "bf16" : "f32"; }

}  // namespace quernel::runtime
