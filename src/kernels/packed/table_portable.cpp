#include "kernels/packed/table.h"

#include <array>

#include "kernels/packed/entries.h"

namespace quernel::kernels::packed {

std::span<const Variant> variants() {
  static const std::array<Variant, 1> table{
      {{sys::Isa::scalar, "packed/reference", reference::few, nullptr, 0, 0, nullptr, nullptr}}};
  return table;
}

}  // namespace quernel::kernels::packed
