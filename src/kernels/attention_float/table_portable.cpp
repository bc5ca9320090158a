#include "kernels/attention_float/table.h"

#include <array>

#include "kernels/attention_float/entries.h"

namespace quernel::kernels::attention_float {

std::span<const Variant> variants() {
  static constexpr std::array<Variant, 1> kTable{{{sys::Isa::scalar, "attention_float/reference", reference::run}}};
  return kTable;
}

}  // namespace quernel::kernels::attention_float
