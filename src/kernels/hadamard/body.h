// hadamard over F32x16. Included by instruction-set files after one simd/f32x16_*.h.
#pragma once

#include "kernels/hadamard/scalar_steps.h"

namespace quernel::kernels::hadamard {
namespace {

using simd::broadcast;
using simd::F32x16;

constexpr std::int64_t kLanes = 16;

// Butterflies of 1, 2, 4 and 8 within sixteen entries: lanes whose index has the bit hold a - b, the others a + b.
inline F32x16 within_lanes(F32x16 x) {
  x = simd::swap_lanes<1>(x) + simd::negate_lanes<1>(x);
  x = simd::swap_lanes<2>(x) + simd::negate_lanes<2>(x);
  x = simd::swap_lanes<4>(x) + simd::negate_lanes<4>(x);
  return simd::swap_lanes<8>(x) + simd::negate_lanes<8>(x);
}

inline void wide_butterflies(float* x, std::int64_t size, std::int64_t half) {
  for (float* pair = x; pair < x + size; pair += 2 * half)
    for (std::int64_t i = 0; i < half; i += kLanes) {
      const F32x16 a = simd::load(pair + i);
      const F32x16 b = simd::load(pair + half + i);
      simd::store(pair + i, a + b);
      simd::store(pair + half + i, a - b);
    }
}

// A product with 1 or -1 is exact, so a fused multiply-add rounds as an addition does. Four rows of C share each load.
inline void wide_core(const Plan& plan, const float* x, float* to) {
  for (std::int64_t k = 0; k < plan.power; k += kLanes)
    for (std::int64_t i = 0; i < plan.core; i += 4) {  // orders of cores are multiples of 4
      F32x16 sums[4] = {broadcast(0.0F), broadcast(0.0F), broadcast(0.0F), broadcast(0.0F)};
      const float* signs = plan.signs + i * plan.core;
      for (std::int64_t j = 0; j < plan.core; ++j) {
        const F32x16 value = simd::load(x + j * plan.power + k);
        for (int r = 0; r < 4; ++r) sums[r] = fma(broadcast(signs[r * plan.core + j]), value, sums[r]);
      }
      for (int r = 0; r < 4; ++r) simd::store(to + (i + r) * plan.power + k, sums[r] * broadcast(plan.scale));
    }
}

inline void transform_wide(const Plan& plan, float* row, float* scratch) {
  if (plan.power < kLanes || plan.core % 4 > 1) return transform_scalar(plan, row, scratch);
  const std::int64_t block = plan.core * plan.power;
  for (float* x = row; x < row + plan.blocks * block; x += block) {
    for (std::int64_t i = 0; i < block; i += kLanes) simd::store(x + i, within_lanes(simd::load(x + i)));
    for (std::int64_t half = kLanes; half < plan.power; half *= 2) wide_butterflies(x, block, half);
    if (plan.core > 1) {
      wide_core(plan, x, scratch);
      for (std::int64_t i = 0; i < block; i += kLanes) simd::store(x + i, simd::load(scratch + i));
    } else {
      for (std::int64_t i = 0; i < block; i += kLanes) simd::store(x + i, simd::load(x + i) * broadcast(plan.scale));
    }
  }
}

}  // namespace
}  // namespace quernel::kernels::hadamard
