// Sixteen floats in four NEON registers. The same names as in f32x16_avx512.h, with the same result bit for bit, so that one
// kernel body serves all (include exactly one of them in an instruction-set file).
#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

#include "simd/inline.h"

namespace quernel::simd {
namespace {  // internal linkage: these copies must not leave an instruction-set file

struct F32x16 {
  float32x4_t v[4];
};
struct F64x16 {
  float64x2_t v[8];
};

// result.v[i] = call(i)
template <class Call>
QUERNEL_INLINE F32x16 by_quads(const Call& call) {
  return {{call(0), call(1), call(2), call(3)}};
}
// All bits set in the lanes below count; `first` is the number of lane 0.
inline uint32x4_t lanes_below(std::int64_t count, int first) {
  const std::int32_t indexes[4] = {first, first + 1, first + 2, first + 3};
  return vcltq_s32(vld1q_s32(indexes), vdupq_n_s32(static_cast<std::int32_t>(count)));
}

inline F32x16 broadcast(float value) {
  return by_quads([&](int) { return vdupq_n_f32(value); });
}
inline F32x16 load(const float* from) {
  return by_quads([&](int i) { return vld1q_f32(from + 4 * i); });
}
inline F32x16 load(const std::uint16_t* from) {  // bf16
  return by_quads([&](int i) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(from + 4 * i), 16)); });
}
// The first `count` lanes (0 .. 16) from memory, the others `fill`; memory beyond is not touched.
inline F32x16 load_partial(const float* from, std::int64_t count, float fill) {
  float lanes[16];
  for (int i = 0; i < 16; ++i) lanes[i] = i < count ? from[i] : fill;
  return load(lanes);
}
inline F32x16 load_partial(const std::uint16_t* from, std::int64_t count) {
  std::uint16_t lanes[16] = {};
  std::memcpy(lanes, from, static_cast<std::size_t>(count) * sizeof(std::uint16_t));
  return load(lanes);
}
inline void store(float* to, F32x16 a) {
  for (int i = 0; i < 4; ++i) vst1q_f32(to + 4 * i, a.v[i]);
}
inline void store_partial(float* to, std::int64_t count, F32x16 a) {
  float lanes[16];
  store(lanes, a);
  std::memcpy(to, lanes, static_cast<std::size_t>(count) * sizeof(float));
}

inline F32x16 load_f16(const std::uint16_t* from) {
  return by_quads([&](int i) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from + 4 * i))); });
}
inline F32x16 load_partial_f16(const std::uint16_t* from, std::int64_t count) {
  std::uint16_t lanes[16] = {};
  std::memcpy(lanes, from, static_cast<std::size_t>(count) * sizeof(std::uint16_t));
  return load_f16(lanes);
}
inline int16x8_t to_words(float32x4_t low, float32x4_t high) {
  return vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(low)), vqmovn_s32(vcvtnq_s32_f32(high)));
}
// Sixteen bytes of whole numbers in [0, 255].
inline void store_u8(std::uint8_t* to, F32x16 a) {
  vst1q_u8(to, vcombine_u8(vqmovun_s16(to_words(a.v[0], a.v[1])), vqmovun_s16(to_words(a.v[2], a.v[3]))));
}
// Whole numbers in [-128, 127], sixteen bytes.
inline void store_i8(std::int8_t* to, F32x16 a) {
  vst1q_s8(to, vcombine_s8(vqmovn_s16(to_words(a.v[0], a.v[1])), vqmovn_s16(to_words(a.v[2], a.v[3]))));
}
// Lane i holds lane i ^ kBit.
template <int kBit>
inline F32x16 swap_lanes(F32x16 a) {
  if constexpr (kBit == 1) return by_quads([&](int i) { return vrev64q_f32(a.v[i]); });
  if constexpr (kBit == 2) return by_quads([&](int i) { return vextq_f32(a.v[i], a.v[i], 2); });
  if constexpr (kBit == 4) return {{a.v[1], a.v[0], a.v[3], a.v[2]}};
  return {{a.v[2], a.v[3], a.v[0], a.v[1]}};
}
// Lanes whose index has the bit change sign.
template <int kBit>
inline F32x16 negate_lanes(F32x16 a) {
  return by_quads([&](int i) {
    std::uint32_t signs[4];
    for (int lane = 0; lane < 4; ++lane) signs[lane] = ((4 * i + lane) & kBit) != 0 ? 0x80000000U : 0U;
    return vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(a.v[i]), vld1q_u32(signs)));
  });
}
inline std::uint16_t to_f16(float a) { return vget_lane_u16(vreinterpret_u16_f16(vcvt_f16_f32(vdupq_n_f32(a))), 0); }
inline float from_f16(std::uint16_t a) { return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(a))), 0); }
inline float first_of(F32x16 a) { return vgetq_lane_f32(a.v[0], 0); }

inline F32x16 operator+(F32x16 a, F32x16 b) {
  return by_quads([&](int i) { return vaddq_f32(a.v[i], b.v[i]); });
}
inline F32x16 operator-(F32x16 a, F32x16 b) {
  return by_quads([&](int i) { return vsubq_f32(a.v[i], b.v[i]); });
}
inline F32x16 operator*(F32x16 a, F32x16 b) {
  return by_quads([&](int i) { return vmulq_f32(a.v[i], b.v[i]); });
}
inline F32x16 operator/(F32x16 a, F32x16 b) {
  return by_quads([&](int i) { return vdivq_f32(a.v[i], b.v[i]); });
}
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  return by_quads([&](int i) { return vfmaq_f32(c.v[i], a.v[i], b.v[i]); });
}
// c - a * b
inline F32x16 fnma(F32x16 a, F32x16 b, F32x16 c) {
  return by_quads([&](int i) { return vfmsq_f32(c.v[i], a.v[i], b.v[i]); });
}
// Where a lane is NaN the second argument is returned (the NEON maximum would return NaN).
inline float32x4_t max_of(float32x4_t a, float32x4_t b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
inline F32x16 max(F32x16 a, F32x16 b) {
  return by_quads([&](int i) { return max_of(a.v[i], b.v[i]); });
}
inline F32x16 min(F32x16 a, F32x16 b) {
  return by_quads([&](int i) { return vbslq_f32(vcltq_f32(a.v[i], b.v[i]), a.v[i], b.v[i]); });
}
inline F32x16 abs(F32x16 a) {
  return by_quads([&](int i) { return vabsq_f32(a.v[i]); });
}
inline F32x16 copy_sign(F32x16 magnitude, F32x16 sign) {
  return by_quads([&](int i) { return vbslq_f32(vdupq_n_u32(0x80000000U), sign.v[i], magnitude.v[i]); });
}
inline F32x16 round_nearest(F32x16 a) {
  return by_quads([&](int i) { return vrndnq_f32(a.v[i]); });
}
inline float32x4_t power_of_two(int32x4_t n) {
  return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
}
// a * 2^n, n a whole number in -150 .. 128, rounded once: in two steps, the first of which is exact.
inline F32x16 scale_by_power(F32x16 a, F32x16 n) {
  return by_quads([&](int i) {
    const int32x4_t whole = vcvtnq_s32_f32(n.v[i]);
    const int32x4_t half = vshrq_n_s32(whole, 1);
    return vmulq_f32(vmulq_f32(a.v[i], power_of_two(half)), power_of_two(vsubq_s32(whole, half)));
  });
}
// Lanes first .. last-1 (0 .. 16) of a, `fill` elsewhere.
inline F32x16 keep_range(F32x16 a, std::int64_t first, std::int64_t last, float fill) {
  return by_quads([&](int i) {
    const uint32x4_t kept = vbicq_u32(lanes_below(last, 4 * i), lanes_below(first, 4 * i));
    return vbslq_f32(kept, a.v[i], vdupq_n_f32(fill));
  });
}

// Pairwise: lanes 8 apart, then 4, 2, 1.
inline float reduce_add(F32x16 a) {
  const float32x4_t quarter = vaddq_f32(vaddq_f32(a.v[0], a.v[2]), vaddq_f32(a.v[1], a.v[3]));
  const float32x2_t pair = vadd_f32(vget_low_f32(quarter), vget_high_f32(quarter));
  return vget_lane_f32(pair, 0) + vget_lane_f32(pair, 1);
}
inline float reduce_max(F32x16 a) {
  const float32x4_t quarter = max_of(max_of(a.v[0], a.v[2]), max_of(a.v[1], a.v[3]));
  const float32x4_t pair = max_of(quarter, vextq_f32(quarter, quarter, 2));
  return vgetq_lane_f32(max_of(pair, vextq_f32(pair, pair, 1)), 0);
}

inline F64x16 zero_f64() {
  F64x16 sum;
  for (float64x2_t& pair : sum.v) pair = vdupq_n_f64(0.0);
  return sum;
}
inline F64x16 add_widened(F64x16 sum, F32x16 a) {
  for (int i = 0; i < 4; ++i) {
    sum.v[2 * i] = vaddq_f64(sum.v[2 * i], vcvt_f64_f32(vget_low_f32(a.v[i])));
    sum.v[2 * i + 1] = vaddq_f64(sum.v[2 * i + 1], vcvt_high_f64_f32(a.v[i]));
  }
  return sum;
}
inline double reduce_add(F64x16 a) {
  const float64x2_t low = vaddq_f64(vaddq_f64(a.v[0], a.v[4]), vaddq_f64(a.v[2], a.v[6]));
  const float64x2_t high = vaddq_f64(vaddq_f64(a.v[1], a.v[5]), vaddq_f64(a.v[3], a.v[7]));
  const float64x2_t two = vaddq_f64(low, high);
  return vgetq_lane_f64(two, 0) + vgetq_lane_f64(two, 1);
}

// to[c * to_stride + r] = from[r * from_stride + c] for r < num_rows, c < num_cols (1 .. 16 each); rows above are written 0.
inline void transpose_to(const float* from, std::int64_t from_stride, std::int64_t num_rows, std::int64_t num_cols,
                         float* to, std::int64_t to_stride) {
  for (std::int64_t c = 0; c < num_cols; ++c)
    for (std::int64_t r = 0; r < 16; ++r) to[c * to_stride + r] = r < num_rows ? from[r * from_stride + c] : 0.0F;
}

}  // namespace
}  // namespace quernel::simd
