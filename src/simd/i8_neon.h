// Bytes times quads into INT32, eight outputs at a time, by the dot product of ARMv8.2, which multiplies signed by signed: codes up to
// 127 are taken as they are, others less kWideByteBias (i8_avx2.h says how callers put that right).
#pragma once

#include "simd/i8_neon_common.h"

namespace quernel::simd {
namespace {

constexpr int kWideByteBias = 128;

inline int32x4_t dot_signed(int32x4_t sum, uint8x16_t codes, std::int32_t quad) {
  return vdotq_s32(sum, vreinterpretq_s8_u8(codes), vreinterpretq_s8_s32(vdupq_n_s32(quad)));
}
inline Ints dot_add_small(Ints sum, Bytes codes, std::int32_t quad) {  // codes 0 .. 127
  return {{dot_signed(sum.v[0], codes.v[0], quad), dot_signed(sum.v[1], codes.v[1], quad)}};
}
inline Ints dot_add(Ints sum, Bytes codes, std::int32_t quad) {  // of code - 128
  const uint8x16_t top = vdupq_n_u8(128);
  return {
      {dot_signed(sum.v[0], veorq_u8(codes.v[0], top), quad), dot_signed(sum.v[1], veorq_u8(codes.v[1], top), quad)}};
}

}  // namespace
}  // namespace quernel::simd
