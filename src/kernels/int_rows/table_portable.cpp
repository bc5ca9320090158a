#include "kernels/int_rows/table.h"

#include <array>

#include "kernels/int_rows/entries.h"

namespace quernel::kernels::int_rows {

std::span<const Variant> variants() {
  static const std::array<Variant, 1> table{{{sys::Isa::scalar, "int_rows/reference", reference::functions()}}};
  return table;
}

}  // namespace quernel::kernels::int_rows
