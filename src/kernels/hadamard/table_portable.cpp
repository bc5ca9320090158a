#include "kernels/hadamard/table.h"

#include <array>

#include "kernels/hadamard/entries.h"

namespace quernel::kernels::hadamard {

std::span<const Variant> variants() {
  static const std::array<Variant, 1> table{{{sys::Isa::scalar, "hadamard/reference", reference::transform}}};
  return table;
}

}  // namespace quernel::kernels::hadamard
