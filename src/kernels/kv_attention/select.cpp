#include "kernels/kv_attention/table.h"

namespace quernel::kernels::kv_attention {

const Variant& pick() {
  static const Variant& chosen = sys::first_usable(variants());
  return chosen;
}

}  // namespace quernel::kernels::kv_attention
