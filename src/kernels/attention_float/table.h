// The variants of attention_float on this architecture: tests, benchmarks and selection walk this list.
#pragma once

#include <span>

#include "kernels/attention_float/attention_float.h"
#include "sys/cpu.h"

namespace quernel::kernels::attention_float {

struct Variant {
  sys::Isa isa;
  const char* name;
  Run run;
};

std::span<const Variant> variants();  // best first, the reference last
const Variant& pick();                // the first whose level sys::checked_isas() allows

}  // namespace quernel::kernels::attention_float
