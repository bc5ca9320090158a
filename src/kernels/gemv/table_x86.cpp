#include <array>

#include "kernels/gemv/entries.h"
#include "kernels/gemv/table.h"

namespace quernel::kernels::gemv {

std::span<const Variant> variants() {
  static constexpr std::array<Variant, 3> kTable{{
      {sys::Isa::avx512, "gemv/avx512", avx512::run_f32, avx512::run_bf16},
      {sys::Isa::avx2, "gemv/avx2", avx2::run_f32, avx2::run_bf16},
      {sys::Isa::scalar, "gemv/reference", reference::run_f32, reference::run_bf16},
  }};
  return kTable;
}

}  // namespace quernel::kernels::gemv
