// Bytes times quads into INT32, sixteen outputs at a time, by AVX-512 VNNI. The same names as in i8_avx2.h and i8_avx_vnni.h, so that
// one kernel body serves all (include exactly one of them in an instruction-set file).
//
// Bytes holds 4 bytes for each of kIntLanes outputs. dot_add: sum[i] += b[4i] x[0] + ... + b[4i+3] x[3], b unsigned, x signed:
// exact, |sum| <= 255 * 127 * K < 2^31 for K <= 66,311 (kernels/packed refuses more).
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "simd/inline.h"

namespace quernel::simd {
namespace {  // internal linkage: these copies must not leave an instruction-set file

constexpr int kIntLanes = 16;
constexpr bool kWidensByTile = false;  // products of 4-bit codes go straight into INT32
constexpr int kWideByteBias = 0;       // what dot_add takes off codes above 15 (i8_avx2.h)

struct Ints {
  __m512i v;
};
struct Bytes {
  __m512i v;
};
struct Reals {
  __m512 v;
};

inline Bytes load_bytes(const std::uint8_t* from) { return {_mm512_loadu_si512(from)}; }
inline Bytes subtract_bytes(Bytes a, Bytes b) { return {_mm512_sub_epi8(a.v, b.v)}; }  // modulo 256
// Bits of each byte moved right by kRight (left where it is negative), those in kMask kept.
template <int kRight, int kMask>
inline Bytes move_bits(Bytes a) {
  __m512i moved = a.v;
  if constexpr (kRight > 0) moved = _mm512_srli_epi16(a.v, kRight);
  if constexpr (kRight < 0) moved = _mm512_slli_epi16(a.v, -kRight);
  return {_mm512_and_si512(moved, _mm512_set1_epi8(static_cast<char>(kMask)))};
}
inline Bytes operator|(Bytes a, Bytes b) { return {_mm512_or_si512(a.v, b.v)}; }
// Entries of a table of 16 bytes; codes 0 .. 15.
inline Bytes repeat_table(const std::uint8_t* table) {
  return {_mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)))};
}
inline Bytes look_up(Bytes table, Bytes codes) { return {_mm512_shuffle_epi8(table.v, codes.v)}; }
inline void store_bytes(std::uint8_t* to, Bytes a) { _mm512_storeu_si512(to, a.v); }
inline std::int32_t load_quad(const std::int8_t* x) {
  std::int32_t quad;
  std::memcpy(&quad, x, sizeof quad);
  return quad;
}

inline Ints zero_ints() { return {_mm512_setzero_si512()}; }
inline Ints splat(std::int32_t a) { return {_mm512_set1_epi32(a)}; }
inline Ints operator+(Ints a, Ints b) { return {_mm512_add_epi32(a.v, b.v)}; }
inline Ints operator-(Ints a, Ints b) { return {_mm512_sub_epi32(a.v, b.v)}; }
inline Ints operator*(Ints a, Ints b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
// Written as assembly because g++ 12 copies every sum before and after the intrinsic, two moves a product (measured: half the speed).
inline Ints dot_add(Ints sum, Bytes codes, std::int32_t quad) {
  const __m512i x = _mm512_set1_epi32(quad);
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sum.v) : "v"(codes.v), "v"(x));
  return sum;
}
// Codes up to 127, and sums of codes up to 15 over one tile: nothing of their own here (i8_avx2.h).
inline Ints dot_add_small(Ints sum, Bytes codes, std::int32_t quad) { return dot_add(sum, codes, quad); }
inline Ints zero_shorts() { return zero_ints(); }
inline Ints widen(Ints a) { return a; }

inline Ints widen_u8(const std::uint8_t* from) {  // kIntLanes bytes
  return {_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)))};
}
inline Ints widen_s8(const std::uint8_t* from) {
  return {_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)))};
}
inline Ints low_half(Ints a) { return {_mm512_and_si512(a.v, _mm512_set1_epi32(15))}; }  // bits 0-3
inline Ints high_half(Ints a) { return {_mm512_srli_epi32(a.v, 4)}; }
// Byte 0 of each lane into all four bytes of the lane.
inline Bytes repeat_byte(Ints a) {
  return {_mm512_mullo_epi32(_mm512_and_si512(a.v, _mm512_set1_epi32(255)), _mm512_set1_epi32(0x01010101))};
}
// Bytes of a times s of their lane (1 .. 16), less `minus`, modulo 256; codes 0 .. 15, so that no product leaves its byte.
inline Bytes scale_codes(Bytes codes, Ints s, Bytes minus) {
  const __m512i both = _mm512_or_si512(s.v, _mm512_slli_epi32(s.v, 16));
  return {_mm512_sub_epi8(_mm512_mullo_epi16(codes.v, both), minus.v)};
}

inline Reals zero_reals() { return {_mm512_setzero_ps()}; }
inline Reals splat(float a) { return {_mm512_set1_ps(a)}; }
inline Reals load_reals(const float* from) { return {_mm512_loadu_ps(from)}; }
inline Reals load_half(const std::uint16_t* from) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)))};
}
inline Reals to_reals(Ints a) { return {_mm512_cvtepi32_ps(a.v)}; }
inline Reals operator*(Reals a, Reals b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Reals fma(Reals a, Reals b, Reals c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline void store_reals(float* to, Reals a) { _mm512_storeu_ps(to, a.v); }

// Forced inline: g++ 12 takes a function that only prefetches for one without effect and drops calls of it.
QUERNEL_INLINE void prefetch(const void* where) { __builtin_prefetch(where, 0, 3); }

}  // namespace
}  // namespace quernel::simd
