#include "kernels/rowwise/table.h"

#include <array>

#include "kernels/rowwise/entries.h"

namespace quernel::kernels::rowwise {

std::span<const Variant> variants() {
  static const std::array<Variant, 1> table{{{sys::Isa::scalar, "rowwise/reference", reference::functions()}}};
  return table;
}

}  // namespace quernel::kernels::rowwise
