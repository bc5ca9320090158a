#include "kernels/kv_attention/table.h"

#include <array>

#include "kernels/kv_attention/entries.h"

namespace quernel::kernels::kv_attention {

std::span<const Variant> variants() {
  static const std::array<Variant, 1> table{
      {{sys::Isa::scalar, "kv_attention/reference", reference::run, reference::encode}}};
  return table;
}

}  // namespace quernel::kernels::kv_attention
