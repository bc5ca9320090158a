#include <array>

#include "kernels/attention_float/entries.h"
#include "kernels/attention_float/table.h"

namespace quernel::kernels::attention_float {

std::span<const Variant> variants() {
  static constexpr std::array<Variant, 3> kTable{{
      {sys::Isa::avx512, "attention_float/avx512", avx512::run},
      {sys::Isa::avx2, "attention_float/avx2", avx2::run},
      {sys::Isa::scalar, "attention_float/reference", reference::run},
  }};
  return kTable;
}

}  // namespace quernel::kernels::attention_float
