#include <array>

#include "kernels/rowwise/entries.h"
#include "kernels/rowwise/table.h"

namespace quernel::kernels::rowwise {

std::span<const Variant> variants() {
  static const std::array<Variant, 3> table{{
      {sys::Isa::avx512, "rowwise/avx512", avx512::functions()},
      {sys::Isa::avx2, "rowwise/avx2", avx2::functions()},
      {sys::Isa::scalar, "rowwise/reference", reference::functions()},
  }};
  return table;
}

}  // namespace quernel::kernels::rowwise
