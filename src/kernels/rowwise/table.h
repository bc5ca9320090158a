// The variants of rowwise on this architecture: tests, benchmarks and selection walk this list.
#pragma once

#include <span>

#include "kernels/rowwise/rowwise.h"
#include "sys/cpu.h"

namespace quernel::kernels::rowwise {

struct Variant {
  sys::Isa isa;
  const char* name;
  Functions functions;
};

std::span<const Variant> variants();  // best first, the reference last
const Variant& pick();                // the first whose level sys::checked_isas() allows
const Functions& functions();         // of pick()

}  // namespace quernel::kernels::rowwise
