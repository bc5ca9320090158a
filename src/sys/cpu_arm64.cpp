#include <asm/hwcap.h>
#include <sys/auxv.h>

#include "sys/cpu_detect.h"

namespace quernel::sys {

std::vector<Isa> detect_isas() {
  std::vector<Isa> found{Isa::scalar};
  if ((::getauxval(AT_HWCAP) & HWCAP_ASIMDDP) == 0) return found;
  found.insert(found.begin(), Isa::neon);
  if ((::getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0) found.insert(found.begin(), Isa::neon_i8mm);
  return found;
}

std::string cpu_vendor() { return "arm"; }

}  // namespace quernel::sys
