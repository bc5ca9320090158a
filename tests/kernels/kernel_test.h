// What the tests of all kernel families share: numbers to feed them, and skipping what this CPU lacks.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/rng.h"
#include "sys/cpu.h"

namespace quernel::kernels {

inline std::vector<float> normal_values(std::int64_t count, const char* stream, double scale = 1.0) {
  CounterRng rng(3, stream);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = static_cast<float>(rng.normal() * scale);
  return values;
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// "gemv/avx2" -> "gemv_avx2", a name that gtest accepts.
template <class Variant>
std::string test_name(const ::testing::TestParamInfo<Variant>& info) {
  std::string name = info.param.name;
  for (char& c : name)
    if (c == '/') c = '_';
  return name;
}

}  // namespace quernel::kernels

#define QUERNEL_SKIP_UNUSABLE(variant)         \
  if (!::quernel::sys::can_use((variant).isa)) \
  GTEST_SKIP() << (variant).name << ": this CPU, or QUERNEL_ISA, does not allow it"
