// Chooses the variant of a kernel that proves itself. One that gives wrong results here (a fault of a compiler, a CPU, an emulator) is not
// used, and that is remembered for whoever reports.
//
// Threads  any
#pragma once

#include <span>
#include <string>
#include <vector>

#include "sys/cpu.h"

namespace quernel::sys {

void distrust(const std::string& kernel);
std::vector<std::string> distrusted_kernels();  // in the order in which they were found

// Of variants, best first: the first that this process may use and that is_sound(variant) holds for. The last one is what others are checked
// against.
template <typename Variant, typename IsSound>
const Variant& first_sound(std::span<const Variant> variants, const IsSound& is_sound) {
  for (const Variant& variant : variants.first(variants.size() - 1)) {
    if (!can_use(variant.isa)) continue;
    if (is_sound(variant)) return variant;
    distrust(variant.name);
  }
  return variants.back();
}

}  // namespace quernel::sys
