#include "kernels/gemm_bf16/table.h"

#include <array>

#include "kernels/gemm_bf16/entries.h"

namespace quernel::kernels::gemm_bf16 {

std::span<const Variant> variants() {
  static const std::array<Variant, 1> table{{{sys::Isa::scalar, "gemm_bf16/reference", reference::functions()}}};
  return table;
}

}  // namespace quernel::kernels::gemm_bf16
