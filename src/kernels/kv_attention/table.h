// The variants of kv_attention on this architecture: tests, benchmarks and selection walk this list.
#pragma once

#include <span>

#include "kernels/kv_attention/kv_attention.h"
#include "sys/cpu.h"

namespace quernel::kernels::kv_attention {

struct Variant {
  sys::Isa isa;
  const char* name;
  Run run;
  Encode encode;
};

std::span<const Variant> variants();  // best first, the reference last
const Variant& pick();                // the first that this process may use and that passes self_check.h

}  // namespace quernel::kernels::kv_attention
