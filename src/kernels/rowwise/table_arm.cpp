#include <array>

#include "kernels/rowwise/entries.h"
#include "kernels/rowwise/table.h"

namespace quernel::kernels::rowwise {

std::span<const Variant> variants() {
  static const std::array<Variant, 2> table{{
      {sys::Isa::neon, "rowwise/neon", neon::functions()},
      {sys::Isa::scalar, "rowwise/reference", reference::functions()},
  }};
  return table;
}

}  // namespace quernel::kernels::rowwise
