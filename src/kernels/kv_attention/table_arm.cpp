#include <array>

#include "kernels/kv_attention/entries.h"
#include "kernels/kv_attention/table.h"

namespace quernel::kernels::kv_attention {

std::span<const Variant> variants() {
  static const std::array<Variant, 3> table{{
      {sys::Isa::neon_i8mm, "kv_attention/neon_i8mm", neon_i8mm::run, neon_i8mm::encode},
      {sys::Isa::neon, "kv_attention/neon", neon::run, neon::encode},
      {sys::Isa::scalar, "kv_attention/reference", reference::run, reference::encode},
  }};
  return table;
}

}  // namespace quernel::kernels::kv_attention
