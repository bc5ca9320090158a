// The fast Hadamard transform of a row of floats, for transforms that happen while a model runs (R3, R4).
//
// Formula  tensor/hadamard.h: blocks of core * power entries; x becomes (C (x) S) x / sqrt(block)
// Exact    the bits of Hadamard::apply, in every variant: butterflies and sums in the same order
// Layout   row [blocks * core * power] in place; scratch as many floats as a block; any address
// Cost     block * (core + log2 power) additions
// Threads  pure functions
#pragma once

#include <cstdint>

namespace quernel::kernels::hadamard {

struct Plan {
  std::int64_t blocks = 1;
  std::int64_t core = 1;         // order of C
  std::int64_t power = 1;        // order of S, a power of two
  const float* signs = nullptr;  // C [core, core], entries 1 and -1; null where core is 1
  float scale = 1.0F;            // 1 / sqrt(core * power)
};

using Transform = void (*)(const Plan& plan, float* row, float* scratch) noexcept;

}  // namespace quernel::kernels::hadamard
