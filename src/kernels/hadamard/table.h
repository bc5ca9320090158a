// The variants of hadamard on this architecture: tests, benchmarks and selection walk this list.
#pragma once

#include <span>

#include "kernels/hadamard/hadamard.h"
#include "sys/cpu.h"

namespace quernel::kernels::hadamard {

struct Variant {
  sys::Isa isa;
  const char* name;
  Transform transform;
};

std::span<const Variant> variants();  // best first, the reference last
const Variant& pick();                // the first that this process may use and that passes self_check.h

}  // namespace quernel::kernels::hadamard
