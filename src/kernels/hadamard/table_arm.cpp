#include <array>

#include "kernels/hadamard/entries.h"
#include "kernels/hadamard/table.h"

namespace quernel::kernels::hadamard {

std::span<const Variant> variants() {
  static const std::array<Variant, 2> table{{
      {sys::Isa::neon, "hadamard/neon", neon::transform},
      {sys::Isa::scalar, "hadamard/reference", reference::transform},
  }};
  return table;
}

}  // namespace quernel::kernels::hadamard
