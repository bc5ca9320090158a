#include <array>

#include "kernels/int_rows/entries.h"
#include "kernels/int_rows/table.h"

namespace quernel::kernels::int_rows {

std::span<const Variant> variants() {
  static const std::array<Variant, 2> table{{
      {sys::Isa::neon, "int_rows/neon", neon::functions()},
      {sys::Isa::scalar, "int_rows/reference", reference::functions()},
  }};
  return table;
}

}  // namespace quernel::kernels::int_rows
