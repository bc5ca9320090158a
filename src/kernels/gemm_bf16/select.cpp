#include "kernels/gemm_bf16/table.h"

namespace quernel::kernels::gemm_bf16 {

const Variant& pick() {
  static const Variant& chosen = sys::first_usable(variants());
  return chosen;
}

}  // namespace quernel::kernels::gemm_bf16
