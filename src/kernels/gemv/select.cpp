#include "kernels/gemv/table.h"

namespace quernel::kernels::gemv {

const Variant& pick() {
  static const Variant& chosen = sys::first_usable(variants());
  return chosen;
}

}  // namespace quernel::kernels::gemv
