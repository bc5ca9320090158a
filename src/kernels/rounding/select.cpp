#include "kernels/rounding/table.h"

namespace quernel::kernels::rounding {

const Variant& pick() {
  static const Variant& chosen = sys::first_usable(variants());
  return chosen;
}

const Functions& functions() { return pick().functions; }

}  // namespace quernel::kernels::rounding
