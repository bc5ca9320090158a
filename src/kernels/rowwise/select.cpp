#include "kernels/rowwise/table.h"

namespace quernel::kernels::rowwise {

const Variant& pick() {
  static const Variant& chosen = sys::first_usable(variants());
  return chosen;
}

const Functions& functions() { return pick().functions; }

}  // namespace quernel::kernels::rowwise
