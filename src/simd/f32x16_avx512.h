// Sixteen floats in one AVX-512 register. The same names as in f32x16_avx2.h, with the same result bit for bit, so that one
// kernel body serves both (include exactly one of them in an instruction-set file).
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace quernel::simd {
namespace {  // internal linkage: these copies must not leave an instruction-set file

struct F32x16 {
  __m512 v;
};
struct F64x16 {
  __m512d low, high;
};

inline __mmask16 first_lanes(std::int64_t count) { return static_cast<__mmask16>((1u << count) - 1u); }  // 0 .. 16

inline F32x16 broadcast(float value) { return {_mm512_set1_ps(value)}; }
inline F32x16 load(const float* from) { return {_mm512_loadu_ps(from)}; }
inline F32x16 load(const std::uint16_t* from) {  // bf16
  const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16))};
}
// The first `count` lanes (0 .. 16) from memory, the others `fill`; memory beyond is not touched.
inline F32x16 load_partial(const float* from, std::int64_t count, float fill) {
  return {_mm512_mask_loadu_ps(_mm512_set1_ps(fill), first_lanes(count), from)};
}
inline F32x16 load_partial(const std::uint16_t* from, std::int64_t count) {
  const __m256i half = _mm256_maskz_loadu_epi16(first_lanes(count), from);
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16))};
}
inline void store(float* to, F32x16 a) { _mm512_storeu_ps(to, a.v); }
inline void store_partial(float* to, std::int64_t count, F32x16 a) {
  _mm512_mask_storeu_ps(to, first_lanes(count), a.v);
}

inline F32x16 load_f16(const std::uint16_t* from) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)))};
}
inline F32x16 load_partial_f16(const std::uint16_t* from, std::int64_t count) {
  return {_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_lanes(count), from))};
}
// Sixteen bytes of whole numbers in [0, 255].
inline void store_u8(std::uint8_t* to, F32x16 a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(a.v)));
}
// Lane i holds lane i ^ kBit.
template <int kBit>
inline F32x16 swap_lanes(F32x16 a) {
  if constexpr (kBit == 1) return {_mm512_permute_ps(a.v, 0xB1)};
  if constexpr (kBit == 2) return {_mm512_permute_ps(a.v, 0x4E)};
  if constexpr (kBit == 4) return {_mm512_shuffle_f32x4(a.v, a.v, 0xB1)};
  return {_mm512_shuffle_f32x4(a.v, a.v, 0x4E)};
}
// Lanes whose index has the bit change sign.
template <int kBit>
inline F32x16 negate_lanes(F32x16 a) {
  constexpr __mmask16 kMask = kBit == 1 ? 0xAAAA : kBit == 2 ? 0xCCCC : kBit == 4 ? 0xF0F0 : 0xFF00;
  return {_mm512_mask_xor_ps(a.v, kMask, a.v, _mm512_set1_ps(-0.0F))};
}
inline std::uint16_t to_f16(float a) {
  return static_cast<std::uint16_t>(_mm_extract_epi16(_mm_cvtps_ph(_mm_set_ss(a), 0), 0));
}
inline float from_f16(std::uint16_t a) { return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(a))); }
inline float first_of(F32x16 a) { return _mm512_cvtss_f32(a.v); }
// Whole numbers in [-128, 127], sixteen bytes.
inline void store_i8(std::int8_t* to, F32x16 a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(a.v)));
}

inline F32x16 operator+(F32x16 a, F32x16 b) { return {_mm512_add_ps(a.v, b.v)}; }
inline F32x16 operator-(F32x16 a, F32x16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline F32x16 operator*(F32x16 a, F32x16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline F32x16 operator/(F32x16 a, F32x16 b) { return {_mm512_div_ps(a.v, b.v)}; }
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
// c - a * b
inline F32x16 fnma(F32x16 a, F32x16 b, F32x16 c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
// Where a lane is NaN the second argument is returned.
inline F32x16 max(F32x16 a, F32x16 b) { return {_mm512_max_ps(a.v, b.v)}; }
inline F32x16 min(F32x16 a, F32x16 b) { return {_mm512_min_ps(a.v, b.v)}; }
inline F32x16 abs(F32x16 a) { return {_mm512_abs_ps(a.v)}; }
inline F32x16 copy_sign(F32x16 magnitude, F32x16 sign) {
  return {_mm512_or_ps(magnitude.v, _mm512_and_ps(sign.v, _mm512_set1_ps(-0.0F)))};
}
inline F32x16 round_nearest(F32x16 a) {
  return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
// a * 2^n, n a whole number in -150 .. 128, rounded once.
inline F32x16 scale_by_power(F32x16 a, F32x16 n) { return {_mm512_scalef_ps(a.v, n.v)}; }
// Lanes first .. last-1 (0 .. 16) of a, `fill` elsewhere.
inline F32x16 keep_range(F32x16 a, std::int64_t first, std::int64_t last, float fill) {
  const auto mask = static_cast<__mmask16>(first_lanes(last) & ~first_lanes(first));
  return {_mm512_mask_mov_ps(_mm512_set1_ps(fill), mask, a.v)};
}

// Pairwise: lanes 8 apart, then 4, 2, 1.
inline float reduce_add(F32x16 a) {
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  const __m128 pair = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_add_ss(pair, _mm_shuffle_ps(pair, pair, 1)));
}
inline float reduce_max(F32x16 a) {
  const __m256 half = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 quarter = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  const __m128 pair = _mm_max_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_max_ss(pair, _mm_shuffle_ps(pair, pair, 1)));
}

inline F64x16 zero_f64() { return {_mm512_setzero_pd(), _mm512_setzero_pd()}; }
inline F64x16 add_widened(F64x16 sum, F32x16 a) {
  return {_mm512_add_pd(sum.low, _mm512_cvtps_pd(_mm512_castps512_ps256(a.v))),
          _mm512_add_pd(sum.high, _mm512_cvtps_pd(_mm512_extractf32x8_ps(a.v, 1)))};
}
inline double reduce_add(F64x16 a) {
  const __m512d eight = _mm512_add_pd(a.low, a.high);
  const __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd(eight, 1));
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
  return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

// rows[0 .. 15] of 16 floats become their transpose.
inline void transpose_16x16(__m512 (&rows)[16]) {
  __m512 pairs[16];
  for (int i = 0; i < 16; i += 2) {
    pairs[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
    pairs[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
  }
  __m512 quads[16];
  for (int i = 0; i < 16; i += 4)
    for (int j = 0; j < 2; ++j) {
      const __m512d a = _mm512_castps_pd(pairs[i + j]);
      const __m512d b = _mm512_castps_pd(pairs[i + 2 + j]);
      quads[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
      quads[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
    }
  // quads[4 g + c] holds, in its four 128-bit parts p, column 4 p + c of rows 4 g .. 4 g + 3.
  for (int c = 0; c < 4; ++c) {
    const __m512 low01 = _mm512_shuffle_f32x4(quads[c], quads[4 + c], 0x44);
    const __m512 high01 = _mm512_shuffle_f32x4(quads[c], quads[4 + c], 0xEE);
    const __m512 low23 = _mm512_shuffle_f32x4(quads[8 + c], quads[12 + c], 0x44);
    const __m512 high23 = _mm512_shuffle_f32x4(quads[8 + c], quads[12 + c], 0xEE);
    rows[c] = _mm512_shuffle_f32x4(low01, low23, 0x88);
    rows[4 + c] = _mm512_shuffle_f32x4(low01, low23, 0xDD);
    rows[8 + c] = _mm512_shuffle_f32x4(high01, high23, 0x88);
    rows[12 + c] = _mm512_shuffle_f32x4(high01, high23, 0xDD);
  }
}

// to[c * to_stride + r] = from[r * from_stride + c] for r < num_rows, c < num_cols (1 .. 16 each); rows above are written 0.
inline void transpose_to(const float* from, std::int64_t from_stride, std::int64_t num_rows, std::int64_t num_cols,
                         float* to, std::int64_t to_stride) {
  __m512 rows[16];
  for (int r = 0; r < 16; ++r)
    rows[r] = r < num_rows ? _mm512_maskz_loadu_ps(first_lanes(num_cols), from + r * from_stride) : _mm512_setzero_ps();
  transpose_16x16(rows);
  for (int c = 0; c < 16; ++c)
    if (c < num_cols) _mm512_storeu_ps(to + c * to_stride, rows[c]);
}

}  // namespace
}  // namespace quernel::simd
