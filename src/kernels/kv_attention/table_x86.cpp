#include <array>

#include "kernels/kv_attention/entries.h"
#include "kernels/kv_attention/table.h"

namespace quernel::kernels::kv_attention {

std::span<const Variant> variants() {
  static const std::array<Variant, 4> table{{
      {sys::Isa::avx512_vnni, "kv_attention/avx512_vnni", avx512_vnni::run, avx512_vnni::encode},
      {sys::Isa::avx_vnni, "kv_attention/avx_vnni", avx_vnni::run, avx_vnni::encode},
      {sys::Isa::avx2, "kv_attention/avx2", avx2::run, avx2::encode},
      {sys::Isa::scalar, "kv_attention/reference", reference::run, reference::encode},
  }};
  return table;
}

}  // namespace quernel::kernels::kv_attention
