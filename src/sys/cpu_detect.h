// The part of CPU detection that differs by architecture: cpu_x86.cpp, cpu_arm64.cpp or cpu_other.cpp is compiled.
#pragma once

#include <string>
#include <vector>

#include "sys/cpu.h"

namespace quernel::sys {

// Every level this CPU and kernel allow, best first, scalar last. Asks Linux for AMX where the CPU has it.
std::vector<Isa> detect_isas();

// The vendor's short name: "amd", "intel", "arm", "other". Some instructions differ in speed, not in meaning.
std::string cpu_vendor();

// QUERNEL_ISA applied: drops the levels above the forced one. Errors: unsupported.
Result<std::vector<Isa>> limit_isas(std::vector<Isa> detected, const std::string& forced_name);

}  // namespace quernel::sys
