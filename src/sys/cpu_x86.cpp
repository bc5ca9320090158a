#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "sys/cpu_detect.h"

namespace quernel::sys {

namespace {

struct Leaf {
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Leaf cpuid(std::uint32_t leaf, std::uint32_t subleaf) {
  Leaf registers;
  if (__get_cpuid_count(leaf, subleaf, &registers.eax, &registers.ebx, &registers.ecx, &registers.edx) == 0) return {};
  return registers;
}

constexpr bool bit(std::uint32_t value, unsigned index) { return ((value >> index) & 1u) != 0; }

// XCR0: which register files the operating system saves.
std::uint64_t saved_states() {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return std::uint64_t{high} << 32 | low;
}

constexpr std::uint64_t kAvxState = 0x6;      // XMM, YMM
constexpr std::uint64_t kAvx512State = 0xE6;  // and opmask, ZMM
constexpr std::uint64_t kAmxState = 0x60000;  // TILECFG, TILEDATA

// Linux hands out the tile registers only on request, once for the process; later threads inherit it.
bool request_amx_permission() {
  constexpr long kArchReqXcompPerm = 0x1023;
  constexpr long kXfeatureTileData = 18;
  return ::syscall(SYS_arch_prctl, kArchReqXcompPerm, kXfeatureTileData) == 0;
}

}  // namespace

std::vector<Isa> detect_isas() {
  std::vector<Isa> found{Isa::scalar};
  auto add = [&found](Isa isa) { found.insert(found.begin(), isa); };
  const Leaf basic = cpuid(1, 0);
  if (!bit(basic.ecx, 27)) return found;  // OSXSAVE
  const std::uint64_t states = saved_states();
  const Leaf extended = cpuid(7, 0);
  const Leaf extended1 = cpuid(7, 1);

  const bool avx2 = (states & kAvxState) == kAvxState && bit(basic.ecx, 12) && bit(basic.ecx, 29) &&
                    bit(extended.ebx, 5) && bit(extended.ebx, 8);  // FMA, F16C, AVX2, BMI2
  if (!avx2) return found;
  add(Isa::avx2);
  if (bit(extended1.eax, 4)) add(Isa::avx_vnni);
  const bool avx512 = (states & kAvx512State) == kAvx512State && bit(extended.ebx, 16) && bit(extended.ebx, 17) &&
                      bit(extended.ebx, 30) && bit(extended.ebx, 31);  // F, DQ, BW, VL
  if (!avx512) return found;
  add(Isa::avx512);
  if (!(bit(extended.ecx, 11) && bit(extended.ecx, 1))) return found;  // VNNI, VBMI
  add(Isa::avx512_vnni);
  if (!bit(extended1.eax, 5)) return found;  // BF16
  add(Isa::avx512_bf16);
  const bool amx = (states & kAmxState) == kAmxState && bit(extended.edx, 24) && bit(extended.edx, 25) &&
                   bit(extended.edx, 22);  // tile, int8, bf16
  if (amx && request_amx_permission()) add(Isa::amx);
  return found;
}

std::string cpu_vendor() {
  const Leaf leaf = cpuid(0, 0);
  constexpr std::uint32_t kAuthenticAmd = 0x68747541;  // "Auth"
  constexpr std::uint32_t kGenuineIntel = 0x756E6547;  // "Genu"
  if (leaf.ebx == kAuthenticAmd) return "amd";
  return leaf.ebx == kGenuineIntel ? "intel" : "other";
}

}  // namespace quernel::sys
