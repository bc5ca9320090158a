// Bytes times quads into INT32, eight outputs at a time, by the mixed-sign dot product of i8mm.
#pragma once

#include "simd/i8_neon_common.h"

namespace quernel::simd {
namespace {

constexpr int kWideByteBias = 0;

inline int32x4_t dot_mixed(int32x4_t sum, uint8x16_t codes, std::int32_t quad) {
  return vusdotq_s32(sum, codes, vreinterpretq_s8_s32(vdupq_n_s32(quad)));
}
inline Ints dot_add(Ints sum, Bytes codes, std::int32_t quad) {
  return {{dot_mixed(sum.v[0], codes.v[0], quad), dot_mixed(sum.v[1], codes.v[1], quad)}};
}
inline Ints dot_add_small(Ints sum, Bytes codes, std::int32_t quad) { return dot_add(sum, codes, quad); }

}  // namespace
}  // namespace quernel::simd
