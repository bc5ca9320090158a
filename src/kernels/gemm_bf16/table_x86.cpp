#include <array>

#include "kernels/gemm_bf16/entries.h"
#include "kernels/gemm_bf16/table.h"

namespace quernel::kernels::gemm_bf16 {

std::span<const Variant> variants() {
  static const std::array<Variant, 3> table{{
      {sys::Isa::amx, "gemm_bf16/amx", amx::functions()},
      {sys::Isa::avx512_bf16, "gemm_bf16/avx512_bf16", avx512_bf16::functions()},
      {sys::Isa::scalar, "gemm_bf16/reference", reference::functions()},
  }};
  return table;
}

}  // namespace quernel::kernels::gemm_bf16
