// Bytes times quads into INT32, eight outputs at a time, by AVX-VNNI (i8_avx512.h says what the names mean).
#pragma once

#include "simd/i8_avx2_common.h"

namespace quernel::simd {
namespace {

constexpr bool kWidensByTile = false;
constexpr int kWideByteBias = 0;

// Written as assembly: i8_avx512.h says why.
inline Ints dot_add(Ints sum, Bytes codes, std::int32_t quad) {
  const __m256i x = _mm256_set1_epi32(quad);
  __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum.v) : "x"(codes.v), "x"(x));
  return sum;
}
// Codes up to 127, and sums of codes up to 15 over one tile: nothing of their own here (i8_avx2.h).
inline Ints dot_add_small(Ints sum, Bytes codes, std::int32_t quad) { return dot_add(sum, codes, quad); }
inline Ints zero_shorts() { return zero_ints(); }
inline Ints widen(Ints a) { return a; }

}  // namespace
}  // namespace quernel::simd
