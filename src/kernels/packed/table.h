// The variants of packed on this architecture: tests, benchmarks and selection walk this list.
#pragma once

#include <span>

#include "kernels/packed/packed.h"
#include "sys/cpu.h"

namespace quernel::kernels::packed {

struct Variant {
  sys::Isa isa;
  const char* name;
  Run few;
  Run many;                      // null: few serves every number of rows
  std::int64_t many_from;        // rows from which many is faster than few in passes over two panels
  std::int64_t many_from_other;  // than few where there are none
  Spin spin;                     // null: none
  Sweep sweep;                   // null: none
};

std::span<const Variant> variants();  // best first, the reference last
const Variant& pick();                // the first that this process may use and that passes self_check.h

}  // namespace quernel::kernels::packed
