#include "kernels/kv_attention/self_check.h"
#include "kernels/kv_attention/table.h"
#include "sys/sound_variant.h"

namespace quernel::kernels::kv_attention {

const Variant& pick() {
  static const Variant& chosen = sys::first_sound(
      variants(), [](const Variant& variant) { return follows_reference(variant, variants().back()); });
  return chosen;
}

}  // namespace quernel::kernels::kv_attention
