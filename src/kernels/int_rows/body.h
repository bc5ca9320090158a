// The functions of int_rows.h over F32x16. Included by instruction-set files after one simd/f32x16_*.h.
#pragma once

#include <cstring>

#include "kernels/int_rows/int_rows.h"

namespace quernel::kernels::int_rows {
namespace {

using simd::broadcast;
using simd::F32x16;

constexpr std::int64_t kLanes = 16;
constexpr std::int64_t kSummed = 16;
static_assert(kSummed == kLanes);

struct Magnitude {
  float largest;
  bool finite;
};

// NaN would be lost in a maximum; x - x is 0 for every finite x and NaN otherwise.
inline Magnitude magnitude_of(const float* x, std::int64_t size) {
  F32x16 largest = broadcast(0.0F);
  F32x16 faults = broadcast(0.0F);
  for (std::int64_t i = 0; i < size; i += kLanes) {
    const F32x16 a = size - i >= kLanes ? simd::load(x + i) : simd::load_partial(x + i, size - i, 0.0F);
    largest = max(abs(a), largest);
    faults = faults + (a - a);
  }
  return {reduce_max(largest), reduce_add(faults) == 0.0F};
}

inline F32x16 load_or_zero(const float* x, std::int64_t i, std::int64_t size) {
  if (size - i >= kLanes) return simd::load(x + i);
  return i < size ? simd::load_partial(x + i, size - i, 0.0F) : broadcast(0.0F);
}

inline F32x16 to_levels(F32x16 x, F32x16 inverse, float most) {
  return simd::round_nearest(min(max(x * inverse, broadcast(-most)), broadcast(most)));
}

// Their sum, at most 16 * 127 in magnitude, is exact in float.
inline std::int32_t store_codes(F32x16 codes, std::int8_t* to) {
  simd::store_i8(to, codes);
  return static_cast<std::int32_t>(reduce_add(codes));
}

inline void fill_zero(std::int64_t stride, const Row& out, float scale) {
  std::memset(out.codes, 0, static_cast<std::size_t>(stride));
  std::memset(out.sums, 0, static_cast<std::size_t>(stride / kSummed) * sizeof(std::int32_t));
  *out.scale = scale;
}

// False where the row has no codes but zeros; scale is then written.
inline bool usable(const Magnitude& m, float most, std::int64_t stride, const Row& out) {
  if (m.finite && most / m.largest <= 3.402823466e38F) return true;
  fill_zero(stride, out, m.finite ? 0.0F : __builtin_nanf(""));
  return false;
}

void quantize(const float* x, std::int64_t size, std::int64_t stride, const Row& out) noexcept {
  constexpr float kMost = kMaxCode;
  const Magnitude m = magnitude_of(x, size);
  if (!usable(m, kMost, stride, out)) return;
  *out.scale = m.largest / kMost;
  const F32x16 inverse = broadcast(kMost / m.largest);
  for (std::int64_t i = 0; i < stride; i += kSummed)
    out.sums[i / kSummed] = store_codes(to_levels(load_or_zero(x, i, size), inverse, kMost), out.codes + i);
}

void split(const float* x, std::int64_t size, std::int64_t stride, const Row& high, const Row& low) noexcept {
  constexpr float kMost = kMaxSplit;
  constexpr float kBase = kSplitBase;
  const Magnitude m = magnitude_of(x, size);
  if (!usable(m, kMost, stride, high)) return fill_zero(stride, low, *high.scale);
  *low.scale = m.largest / kMost;
  *high.scale = kBase * *low.scale;
  const F32x16 inverse = broadcast(kMost / m.largest);
  const F32x16 base = broadcast(kBase);
  for (std::int64_t i = 0; i < stride; i += kSummed) {
    // |v| <= 32512: v / 255 is not within rounding of a half (255 is odd), so high is exact and |low| <= 127.
    const F32x16 v = to_levels(load_or_zero(x, i, size), inverse, kMost);
    const F32x16 h = simd::round_nearest(v / base);
    high.sums[i / kSummed] = store_codes(h, high.codes + i);
    low.sums[i / kSummed] = store_codes(v - h * base, low.codes + i);
  }
}

constexpr Functions kFunctions = {quantize, split};

}  // namespace
}  // namespace quernel::kernels::int_rows
