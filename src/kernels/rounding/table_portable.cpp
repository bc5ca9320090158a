#include "kernels/rounding/table.h"

#include <array>

#include "kernels/rounding/entries.h"

namespace quernel::kernels::rounding {

std::span<const Variant> variants() {
  static const std::array<Variant, 1> table{{{sys::Isa::scalar, "rounding/reference", reference::functions()}}};
  return table;
}

}  // namespace quernel::kernels::rounding
