#include "sys/cpu_detect.h"

namespace quernel::sys {

std::vector<Isa> detect_isas() { return {Isa::scalar}; }

std::string cpu_vendor() { return "other"; }

}  // namespace quernel::sys
