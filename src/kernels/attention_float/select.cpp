#include "kernels/attention_float/table.h"

namespace quernel::kernels::attention_float {

const Variant& pick() {
  static const Variant& chosen = sys::first_usable(variants());
  return chosen;
}

}  // namespace quernel::kernels::attention_float
