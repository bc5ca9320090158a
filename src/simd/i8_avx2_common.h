// What i8_avx2.h and i8_avx_vnni.h share: eight outputs a register.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "simd/inline.h"

namespace quernel::simd {
namespace {

constexpr int kIntLanes = 8;

struct Ints {
  __m256i v;
};
struct Bytes {
  __m256i v;
};
struct Reals {
  __m256 v;
};

inline Bytes load_bytes(const std::uint8_t* from) {
  return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))};
}
inline Bytes subtract_bytes(Bytes a, Bytes b) { return {_mm256_sub_epi8(a.v, b.v)}; }  // modulo 256
template <int kRight, int kMask>
inline Bytes move_bits(Bytes a) {
  __m256i moved = a.v;
  if constexpr (kRight > 0) moved = _mm256_srli_epi16(a.v, kRight);
  if constexpr (kRight < 0) moved = _mm256_slli_epi16(a.v, -kRight);
  return {_mm256_and_si256(moved, _mm256_set1_epi8(static_cast<char>(kMask)))};
}
inline Bytes operator|(Bytes a, Bytes b) { return {_mm256_or_si256(a.v, b.v)}; }
inline Bytes repeat_table(const std::uint8_t* table) {
  return {_mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)))};
}
inline Bytes look_up(Bytes table, Bytes codes) { return {_mm256_shuffle_epi8(table.v, codes.v)}; }
inline void store_bytes(std::uint8_t* to, Bytes a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), a.v); }
inline std::int32_t load_quad(const std::int8_t* x) {
  std::int32_t quad;
  std::memcpy(&quad, x, sizeof quad);
  return quad;
}

inline Ints zero_ints() { return {_mm256_setzero_si256()}; }
inline Ints splat(std::int32_t a) { return {_mm256_set1_epi32(a)}; }
inline Ints operator+(Ints a, Ints b) { return {_mm256_add_epi32(a.v, b.v)}; }
inline Ints operator-(Ints a, Ints b) { return {_mm256_sub_epi32(a.v, b.v)}; }
inline Ints operator*(Ints a, Ints b) { return {_mm256_mullo_epi32(a.v, b.v)}; }

inline Ints widen_u8(const std::uint8_t* from) {  // kIntLanes bytes
  return {_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)))};
}
inline Ints widen_s8(const std::uint8_t* from) {
  return {_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)))};
}
inline Ints low_half(Ints a) { return {_mm256_and_si256(a.v, _mm256_set1_epi32(15))}; }  // bits 0-3
inline Ints high_half(Ints a) { return {_mm256_srli_epi32(a.v, 4)}; }
inline Bytes repeat_byte(Ints a) {
  return {_mm256_mullo_epi32(_mm256_and_si256(a.v, _mm256_set1_epi32(255)), _mm256_set1_epi32(0x01010101))};
}
inline Bytes scale_codes(Bytes codes, Ints s, Bytes minus) {
  const __m256i both = _mm256_or_si256(s.v, _mm256_slli_epi32(s.v, 16));
  return {_mm256_sub_epi8(_mm256_mullo_epi16(codes.v, both), minus.v)};
}

inline Reals zero_reals() { return {_mm256_setzero_ps()}; }
inline Reals splat(float a) { return {_mm256_set1_ps(a)}; }
inline Reals load_reals(const float* from) { return {_mm256_loadu_ps(from)}; }
inline Reals load_half(const std::uint16_t* from) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)))};
}
inline Reals to_reals(Ints a) { return {_mm256_cvtepi32_ps(a.v)}; }
inline Reals operator*(Reals a, Reals b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline Reals fma(Reals a, Reals b, Reals c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline void store_reals(float* to, Reals a) { _mm256_storeu_ps(to, a.v); }

// Forced inline: g++ 12 takes a function that only prefetches for one without effect and drops calls of it.
QUERNEL_INLINE void prefetch(const void* where) { __builtin_prefetch(where, 0, 3); }

}  // namespace
}  // namespace quernel::simd
