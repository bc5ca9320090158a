#include "base/check.h"
#include "kernels/rounding/table.h"

namespace quernel::kernels::rounding {

const Variant& pick() {
  static const Variant& chosen = []() -> const Variant& {
    for (const Variant& variant : variants())
      if (sys::can_use(variant.isa)) return variant;
    QUERNEL_CHECK(false, "the table ends with a scalar variant");
    return variants().back();
  }();
  return chosen;
}

const Functions& functions() { return pick().functions; }

}  // namespace quernel::kernels::rounding
