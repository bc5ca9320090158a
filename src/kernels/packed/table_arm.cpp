#include <array>

#include "kernels/packed/entries.h"
#include "kernels/packed/table.h"

namespace quernel::kernels::packed {

std::span<const Variant> variants() {
  static const std::array<Variant, 3> table{{
      {sys::Isa::neon_i8mm, "packed/neon_i8mm", neon_i8mm::few, neon_i8mm::many, 12, 12, neon_i8mm::spin,
       neon_i8mm::sweep},
      {sys::Isa::neon, "packed/neon", neon::few, neon::many, 12, 12, neon::spin, neon::sweep},
      {sys::Isa::scalar, "packed/reference", reference::few, nullptr, 0, 0, nullptr, nullptr},
  }};
  return table;
}

}  // namespace quernel::kernels::packed
