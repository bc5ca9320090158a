#include <array>

#include "kernels/packed/entries.h"
#include "kernels/packed/table.h"

namespace quernel::kernels::packed {

std::span<const Variant> variants() {
  static const std::array<Variant, 5> table{{
      {sys::Isa::amx, "packed/amx", avx512_vnni::few, amx::many, 24, 16, avx512_vnni::spin, avx512_vnni::sweep},
      {sys::Isa::avx512_vnni, "packed/avx512_vnni", avx512_vnni::few, avx512_vnni::many, 24, 16, avx512_vnni::spin,
       avx512_vnni::sweep},
      {sys::Isa::avx_vnni, "packed/avx_vnni", avx_vnni::few, avx_vnni::many, 12, 12, avx_vnni::spin, avx_vnni::sweep},
      {sys::Isa::avx2, "packed/avx2", avx2::few, avx2::many, 8, 8, avx2::spin, avx2::sweep},
      {sys::Isa::scalar, "packed/reference", reference::few, nullptr, 0, 0, nullptr, nullptr},
  }};
  return table;
}

}  // namespace quernel::kernels::packed
