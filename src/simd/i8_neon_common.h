// What i8_neon.h and i8_neon_i8mm.h share: eight outputs in two registers (i8_avx512.h says what the names mean).
#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

#include "simd/inline.h"

namespace quernel::simd {
namespace {

constexpr int kIntLanes = 8;
constexpr bool kWidensByTile = false;

struct Ints {
  int32x4_t v[2];
};
struct Bytes {
  uint8x16_t v[2];
};
struct Reals {
  float32x4_t v[2];
};

inline Bytes load_bytes(const std::uint8_t* from) { return {{vld1q_u8(from), vld1q_u8(from + 16)}}; }
inline void store_bytes(std::uint8_t* to, Bytes a) {
  vst1q_u8(to, a.v[0]);
  vst1q_u8(to + 16, a.v[1]);
}
inline Bytes subtract_bytes(Bytes a, Bytes b) {  // modulo 256
  return {{vsubq_u8(a.v[0], b.v[0]), vsubq_u8(a.v[1], b.v[1])}};
}
template <int kRight, int kMask>
inline uint8x16_t move_bits(uint8x16_t a) {
  uint8x16_t moved = a;
  if constexpr (kRight > 0) moved = vshrq_n_u8(a, kRight);
  if constexpr (kRight < 0) moved = vshlq_n_u8(a, -kRight);
  return vandq_u8(moved, vdupq_n_u8(static_cast<std::uint8_t>(kMask)));
}
template <int kRight, int kMask>
inline Bytes move_bits(Bytes a) {
  return {{move_bits<kRight, kMask>(a.v[0]), move_bits<kRight, kMask>(a.v[1])}};
}
inline Bytes operator|(Bytes a, Bytes b) { return {{vorrq_u8(a.v[0], b.v[0]), vorrq_u8(a.v[1], b.v[1])}}; }
inline Bytes repeat_table(const std::uint8_t* table) { return {{vld1q_u8(table), vld1q_u8(table)}}; }
inline Bytes look_up(Bytes table, Bytes codes) {
  return {{vqtbl1q_u8(table.v[0], codes.v[0]), vqtbl1q_u8(table.v[0], codes.v[1])}};
}
inline std::int32_t load_quad(const std::int8_t* x) {
  std::int32_t quad;
  std::memcpy(&quad, x, sizeof quad);
  return quad;
}

inline Ints splat(std::int32_t a) { return {{vdupq_n_s32(a), vdupq_n_s32(a)}}; }
inline Ints zero_ints() { return splat(0); }
inline Ints operator+(Ints a, Ints b) { return {{vaddq_s32(a.v[0], b.v[0]), vaddq_s32(a.v[1], b.v[1])}}; }
inline Ints operator-(Ints a, Ints b) { return {{vsubq_s32(a.v[0], b.v[0]), vsubq_s32(a.v[1], b.v[1])}}; }
inline Ints operator*(Ints a, Ints b) { return {{vmulq_s32(a.v[0], b.v[0]), vmulq_s32(a.v[1], b.v[1])}}; }
// Sums of codes up to 15 over one tile: nothing of their own here (i8_avx2.h).
inline Ints zero_shorts() { return zero_ints(); }
inline Ints widen(Ints a) { return a; }

inline Ints widen_u8(const std::uint8_t* from) {  // kIntLanes bytes
  const uint16x8_t words = vmovl_u8(vld1_u8(from));
  return {
      {vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(words))), vreinterpretq_s32_u32(vmovl_u16(vget_high_u16(words)))}};
}
inline Ints widen_s8(const std::uint8_t* from) {
  const int16x8_t words = vmovl_s8(vreinterpret_s8_u8(vld1_u8(from)));
  return {{vmovl_s16(vget_low_s16(words)), vmovl_s16(vget_high_s16(words))}};
}
inline Ints low_half(Ints a) {  // bits 0-3
  return {{vandq_s32(a.v[0], vdupq_n_s32(15)), vandq_s32(a.v[1], vdupq_n_s32(15))}};
}
inline int32x4_t shift_nibble(int32x4_t a) { return vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(a), 4)); }
inline Ints high_half(Ints a) { return {{shift_nibble(a.v[0]), shift_nibble(a.v[1])}}; }
// Byte 0 of each lane into all four bytes of the lane.
inline uint8x16_t repeat_byte(int32x4_t a) {
  const int32x4_t byte = vandq_s32(a, vdupq_n_s32(255));
  return vreinterpretq_u8_s32(vmulq_s32(byte, vdupq_n_s32(0x01010101)));
}
inline Bytes repeat_byte(Ints a) { return {{repeat_byte(a.v[0]), repeat_byte(a.v[1])}}; }
// Bytes of a times s of their lane (1 .. 16), less `minus`, modulo 256.
inline Bytes scale_codes(Bytes codes, Ints s, Bytes minus) {
  return {{vsubq_u8(vmulq_u8(codes.v[0], repeat_byte(s.v[0])), minus.v[0]),
           vsubq_u8(vmulq_u8(codes.v[1], repeat_byte(s.v[1])), minus.v[1])}};
}

inline Reals splat(float a) { return {{vdupq_n_f32(a), vdupq_n_f32(a)}}; }
inline Reals zero_reals() { return splat(0.0F); }
inline Reals load_reals(const float* from) { return {{vld1q_f32(from), vld1q_f32(from + 4)}}; }
inline Reals load_half(const std::uint16_t* from) {
  return {{vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from))), vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from + 4)))}};
}
inline Reals to_reals(Ints a) { return {{vcvtq_f32_s32(a.v[0]), vcvtq_f32_s32(a.v[1])}}; }
inline Reals operator*(Reals a, Reals b) { return {{vmulq_f32(a.v[0], b.v[0]), vmulq_f32(a.v[1], b.v[1])}}; }
inline Reals fma(Reals a, Reals b, Reals c) {
  return {{vfmaq_f32(c.v[0], a.v[0], b.v[0]), vfmaq_f32(c.v[1], a.v[1], b.v[1])}};
}
inline void store_reals(float* to, Reals a) {
  vst1q_f32(to, a.v[0]);
  vst1q_f32(to + 4, a.v[1]);
}

// Forced inline: g++ 12 takes a function that only prefetches for one without effect and drops calls of it.
QUERNEL_INLINE void prefetch(const void* where) { __builtin_prefetch(where, 0, 3); }

}  // namespace
}  // namespace quernel::simd
