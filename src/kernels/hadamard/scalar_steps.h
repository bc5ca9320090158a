// The loops of hadamard.h without vectors: the reference, and what is left of a block whose power is below sixteen.
#pragma once

#include "kernels/hadamard/hadamard.h"

namespace quernel::kernels::hadamard {
namespace {

inline void butterflies(float* x, std::int64_t size, std::int64_t half) {
  for (float* pair = x; pair < x + size; pair += 2 * half)
    for (std::int64_t i = 0; i < half; ++i) {
      const float a = pair[i];
      const float b = pair[half + i];
      pair[i] = a + b;
      pair[half + i] = a - b;
    }
}

inline void mix_core(const Plan& plan, const float* x, float* to) {
  for (std::int64_t i = 0; i < plan.core; ++i)
    for (std::int64_t k = 0; k < plan.power; ++k) {
      float sum = 0.0F;
      for (std::int64_t j = 0; j < plan.core; ++j) sum += plan.signs[i * plan.core + j] * x[j * plan.power + k];
      to[i * plan.power + k] = sum;
    }
}

inline void transform_scalar(const Plan& plan, float* row, float* scratch) {
  const std::int64_t block = plan.core * plan.power;
  for (float* x = row; x < row + plan.blocks * block; x += block) {
    for (std::int64_t half = 1; half < plan.power; half *= 2) butterflies(x, block, half);
    const float* from = x;
    if (plan.core > 1) {
      mix_core(plan, x, scratch);
      from = scratch;
    }
    for (std::int64_t i = 0; i < block; ++i) x[i] = from[i] * plan.scale;
  }
}

}  // namespace
}  // namespace quernel::kernels::hadamard
