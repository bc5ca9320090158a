// The variants of rounding on this architecture: tests, benchmarks and selection walk this list.
#pragma once

#include <span>

#include "kernels/rounding/rounding.h"
#include "sys/cpu.h"

namespace quernel::kernels::rounding {

struct Variant {
  sys::Isa isa;
  const char* name;
  Functions functions;
};

std::span<const Variant> variants();  // best first, the reference last
const Variant& pick();                // the first whose level sys::checked_isas() allows
const Functions& functions();         // of pick()

}  // namespace quernel::kernels::rounding
