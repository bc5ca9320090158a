// Bytes times quads into INT32, eight outputs at a time, on CPUs without a dot-product instruction (i8_avx512.h says what the
// names mean).
//
// vpmaddubsw adds two products in 16 bits and saturates. Codes up to 15: two products are at most 2 * 15 * 127 = 3,810, so the
// eight additions of a tile stay below 30,481 < 2^15 (ShortSums; widened once a tile). Codes up to 255 would saturate: they
// are taken as c - 128 in [-128, 127], |c - 128| times x with the sign of c - 128: at most 2 * 128 * 127 = 32,512 < 2^15. Callers
// give the zero point less kWideByteBias there.
#pragma once

#include "simd/i8_avx2_common.h"

namespace quernel::simd {
namespace {

constexpr bool kWidensByTile = true;
constexpr int kWideByteBias = 128;

struct ShortSums {
  __m256i v;
};

inline ShortSums zero_shorts() { return {_mm256_setzero_si256()}; }
// Sums are added by assembly: g++ 12 makes trees of them, whose products all wait in memory (measured: half the speed).
inline Ints add_in_order(Ints sum, __m256i more) {
  __asm__("vpaddd %1, %0, %0" : "+x"(sum.v) : "x"(more));
  return sum;
}
inline ShortSums dot_add(ShortSums sum, Bytes codes, std::int32_t quad) {  // codes 0 .. 15
  const __m256i pairs = _mm256_maddubs_epi16(codes.v, _mm256_set1_epi32(quad));
  __asm__("vpaddw %1, %0, %0" : "+x"(sum.v) : "x"(pairs));
  return sum;
}
inline Ints widen(ShortSums a) { return {_mm256_madd_epi16(a.v, _mm256_set1_epi16(1))}; }
// The same times s of each lane, 0 .. 16.
inline Ints widen_scaled(ShortSums a, Ints s) {
  return {_mm256_madd_epi16(a.v, _mm256_or_si256(s.v, _mm256_slli_epi32(s.v, 16)))};
}

// Codes up to 127: two products are at most 2 * 127 * 127 = 32,258 < 2^15.
inline Ints dot_add_small(Ints sum, Bytes codes, std::int32_t quad) {
  const __m256i pairs = _mm256_maddubs_epi16(codes.v, _mm256_set1_epi32(quad));
  return add_in_order(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

inline Ints dot_add(Ints sum, Bytes codes, std::int32_t quad) {         // codes 0 .. 255, x in [-127, 127]
  const __m256i w = _mm256_xor_si256(codes.v, _mm256_set1_epi8(-128));  // c - 128
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(_mm256_set1_epi32(quad), w));
  return add_in_order(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

}  // namespace
}  // namespace quernel::simd
