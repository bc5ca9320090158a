// The variants of gemm_bf16 on this architecture: tests, benchmarks and selection walk this list.
#pragma once

#include <span>

#include "kernels/gemm_bf16/gemm_bf16.h"
#include "sys/cpu.h"

namespace quernel::kernels::gemm_bf16 {

struct Variant {
  sys::Isa isa;
  const char* name;
  Functions functions;
};

std::span<const Variant> variants();  // best first, the reference last
const Variant& pick();                // the first whose level sys::checked_isas() allows

}  // namespace quernel::kernels::gemm_bf16
