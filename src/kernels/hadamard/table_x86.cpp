#include <array>

#include "kernels/hadamard/entries.h"
#include "kernels/hadamard/table.h"

namespace quernel::kernels::hadamard {

std::span<const Variant> variants() {
  static const std::array<Variant, 3> table{{
      {sys::Isa::avx512, "hadamard/avx512", avx512::transform},
      {sys::Isa::avx2, "hadamard/avx2", avx2::transform},
      {sys::Isa::scalar, "hadamard/reference", reference::transform},
  }};
  return table;
}

}  // namespace quernel::kernels::hadamard
