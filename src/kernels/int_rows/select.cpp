#include "kernels/int_rows/table.h"

namespace quernel::kernels::int_rows {

const Variant& pick() {
  static const Variant& chosen = sys::first_usable(variants());
  return chosen;
}

const Functions& functions() { return pick().functions; }

}  // namespace quernel::kernels::int_rows
