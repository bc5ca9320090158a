#include <array>

#include "kernels/int_rows/entries.h"
#include "kernels/int_rows/table.h"

namespace quernel::kernels::int_rows {

std::span<const Variant> variants() {
  static const std::array<Variant, 3> table{{
      {sys::Isa::avx512, "int_rows/avx512", avx512::functions()},
      {sys::Isa::avx2, "int_rows/avx2", avx2::functions()},
      {sys::Isa::scalar, "int_rows/reference", reference::functions()},
  }};
  return table;
}

}  // namespace quernel::kernels::int_rows
