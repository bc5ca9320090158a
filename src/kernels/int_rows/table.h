// The variants of int_rows on this architecture: tests, benchmarks and selection walk this list.
#pragma once

#include <span>

#include "kernels/int_rows/int_rows.h"
#include "sys/cpu.h"

namespace quernel::kernels::int_rows {

struct Variant {
  sys::Isa isa;
  const char* name;
  Functions functions;
};

std::span<const Variant> variants();  // best first, the reference last
const Variant& pick();                // the first that this process may use and that passes self_check.h
const Functions& functions();         // of pick()

}  // namespace quernel::kernels::int_rows
