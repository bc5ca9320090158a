#include <array>

#include "kernels/gemv/entries.h"
#include "kernels/gemv/table.h"

namespace quernel::kernels::gemv {

std::span<const Variant> variants() {
  static constexpr std::array<Variant, 2> kTable{{
      {sys::Isa::neon, "gemv/neon", neon::run_f32, neon::run_bf16},
      {sys::Isa::scalar, "gemv/reference", reference::run_f32, reference::run_bf16},
  }};
  return kTable;
}

}  // namespace quernel::kernels::gemv
