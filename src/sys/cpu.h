// What this CPU can do: the only place that asks it, and the only place that asks Linux for AMX.
//
// Override  QUERNEL_ISA=scalar|avx2|avx512|avx512_vnni|avx512_bf16|amx|neon forces a level; it fails where the CPU
//           lacks it
// Threads   detection runs once; the answer does not change afterwards
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/result.h"

namespace quernel::sys {

// Instruction sets for which kernels exist. A level includes those it names in isa_requires().
enum class Isa {
  scalar,       // portable C++
  avx2,         // AVX2, FMA, F16C
  avx_vnni,     // avx2 and AVX-VNNI
  avx512,       // AVX-512 F, BW, DQ, VL
  avx512_vnni,  // avx512 and VNNI, VBMI
  avx512_bf16,  // avx512_vnni and BF16
  amx,          // avx512_bf16 and AMX tile, int8, bf16, with permission from the kernel
  neon,         // ARMv8 with dotprod
  neon_i8mm,    // neon and i8mm
};

const char* to_string(Isa isa);
Result<Isa> parse_isa(const std::string& name);

// Best first, scalar last: every level this process may use. Honours QUERNEL_ISA (levels above the forced one are left
// out); unsupported if the variable names a level that the CPU lacks or no level at all.
Result<std::vector<Isa>> usable_isas();

// As usable_isas(), for callers below main: a bad QUERNEL_ISA was refused there (apps/quernel), here it is a check.
const std::vector<Isa>& checked_isas();
bool can_use(Isa isa);

// Of a kernel's variants, best first: the first whose level this process may use. The last one is scalar.
template <typename Variant>
const Variant& first_usable(std::span<const Variant> variants) {
  for (const Variant& variant : variants)
    if (can_use(variant.isa)) return variant;
  QUERNEL_CHECK(false, "the table ends with a scalar variant");
  return variants.back();
}

// Vendor and model name for reports, and the level in use: "AMD EPYC 9B45 (avx512_bf16)".
std::string cpu_description();

// L2 bytes of one core, from the system; 1 MiB where it does not say.
std::size_t l2_cache_bytes();

}  // namespace quernel::sys
