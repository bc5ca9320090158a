#include "kernels/hadamard/table.h"

namespace quernel::kernels::hadamard {

const Variant& pick() {
  static const Variant& chosen = sys::first_usable(variants());
  return chosen;
}

}  // namespace quernel::kernels::hadamard
