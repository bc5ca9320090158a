#include <array>

#include "kernels/attention_float/entries.h"
#include "kernels/attention_float/table.h"

namespace quernel::kernels::attention_float {

std::span<const Variant> variants() {
  static constexpr std::array<Variant, 2> kTable{{
      {sys::Isa::neon, "attention_float/neon", neon::run},
      {sys::Isa::scalar, "attention_float/reference", reference::run},
  }};
  return kTable;
}

}  // namespace quernel::kernels::attention_float
