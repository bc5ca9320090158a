// The variants of gemv on this architecture: tests, benchmarks and selection walk this list.
#pragma once

#include <span>

#include "kernels/gemv/gemv.h"
#include "sys/cpu.h"

namespace quernel::kernels::gemv {

struct Variant {
  sys::Isa isa;
  const char* name;
  RunF32 f32;
  RunBf16 bf16;
};

std::span<const Variant> variants();  // best first, the reference last
const Variant& pick();                // the first whose level sys::checked_isas() allows

}  // namespace quernel::kernels::gemv
