// Codes of a head over F32x16. Included by instruction-set files after one simd/f32x16_*.h.
#pragma once

#include "kernels/kv_attention/kv_attention.h"

namespace quernel::kernels::kv_attention {
namespace {

inline simd::F32x16 load_dims(const float* x, std::int64_t i, std::int64_t size, float fill) {
  return size - i >= 16 ? simd::load(x + i) : simd::load_partial(x + i, size - i, fill);
}

inline void run_encode(const float* x, std::int64_t size, float most, Coded& out) {
  using simd::broadcast;
  using simd::F32x16;
  F32x16 low = broadcast(x[0]);
  F32x16 high = low;
  F32x16 faults = broadcast(0.0F);
  for (std::int64_t i = 0; i < size; i += 16) {
    const F32x16 a = load_dims(x, i, size, x[0]);
    low = min(a, low);
    high = max(a, high);
    faults = faults + (a - a);
  }
  const float least = 0.0F - reduce_max(broadcast(0.0F) - low);  // never -0
  const float range = reduce_max(high) - least;
  if (!(range - range == 0.0F) || reduce_add(faults) != 0.0F) {
    out.scale = out.offset = 0x7E00;  // NaN
    __builtin_memset(out.codes, 0, static_cast<std::size_t>(size));
    return;
  }
  constexpr float kMaxF16 = 65504.0F;
  const float scale_exact = range / most < kMaxF16 ? range / most : kMaxF16;
  const float low_held = least < -kMaxF16 ? -kMaxF16 : least > kMaxF16 ? kMaxF16 : least;
  out.scale = simd::to_f16(scale_exact);
  out.offset = simd::to_f16(low_held);
  const float scale = simd::from_f16(out.scale);
  const F32x16 inverse = broadcast(scale > 0.0F ? 1.0F / scale : 0.0F);
  const F32x16 offset = broadcast(simd::from_f16(out.offset));
  for (std::int64_t i = 0; i < size; i += 16) {  // codes has room for whole registers
    const F32x16 exact = (load_dims(x, i, size, x[0]) - offset) * inverse;
    simd::store_u8(out.codes + i, simd::round_nearest(min(max(exact, broadcast(0.0F)), broadcast(most))));
  }
}

}  // namespace
}  // namespace quernel::kernels::kv_attention
