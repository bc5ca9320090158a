#include <array>

#include "kernels/rounding/entries.h"
#include "kernels/rounding/table.h"

namespace quernel::kernels::rounding {

std::span<const Variant> variants() {
  static const std::array<Variant, 3> table{{
      {sys::Isa::avx512, "rounding/avx512", avx512::functions()},
      {sys::Isa::avx2, "rounding/avx2", avx2::functions()},
      {sys::Isa::scalar, "rounding/reference", reference::functions()},
  }};
  return table;
}

}  // namespace quernel::kernels::rounding
