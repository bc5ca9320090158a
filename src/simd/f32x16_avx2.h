// Sixteen floats in two AVX2 registers. The same names as in f32x16_avx512.h, with the same result bit for bit, so that one
// kernel body serves both (include exactly one of them in an instruction-set file).
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace quernel::simd {
namespace {  // internal linkage: these copies must not leave an instruction-set file

struct F32x16 {
  __m256 low, high;
};
struct F64x16 {
  __m256d v[4];
};

// All bits set in the lanes below count; `first` is the number of lane 0.
inline __m256i lanes_below(std::int64_t count, int first) {
  const __m256i index = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(first));
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), index);
}
inline __m256 select(__m256i mask, __m256 yes, __m256 no) {
  return _mm256_blendv_ps(no, yes, _mm256_castsi256_ps(mask));
}

inline F32x16 broadcast(float value) { return {_mm256_set1_ps(value), _mm256_set1_ps(value)}; }
inline F32x16 load(const float* from) { return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)}; }
inline __m256 widen_bf16(__m128i half) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}
inline F32x16 load(const std::uint16_t* from) {  // bf16
  return {widen_bf16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))),
          widen_bf16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 8)))};
}
// The first `count` lanes (0 .. 16) from memory, the others `fill`; memory beyond is not touched.
inline F32x16 load_partial(const float* from, std::int64_t count, float fill) {
  const __m256 other = _mm256_set1_ps(fill);
  const __m256i low = lanes_below(count, 0);
  const __m256i high = lanes_below(count, 8);
  return {select(low, _mm256_maskload_ps(from, low), other), select(high, _mm256_maskload_ps(from + 8, high), other)};
}
inline F32x16 load_partial(const std::uint16_t* from, std::int64_t count) {
  std::uint16_t buffer[16] = {};
  std::memcpy(buffer, from, static_cast<std::size_t>(count) * sizeof(std::uint16_t));
  return load(buffer);
}
inline void store(float* to, F32x16 a) {
  _mm256_storeu_ps(to, a.low);
  _mm256_storeu_ps(to + 8, a.high);
}
inline void store_partial(float* to, std::int64_t count, F32x16 a) {
  _mm256_maskstore_ps(to, lanes_below(count, 0), a.low);
  _mm256_maskstore_ps(to + 8, lanes_below(count, 8), a.high);
}

inline F32x16 load_f16(const std::uint16_t* from) {
  const auto* at = reinterpret_cast<const __m128i*>(from);
  return {_mm256_cvtph_ps(_mm_loadu_si128(at)), _mm256_cvtph_ps(_mm_loadu_si128(at + 1))};
}
inline F32x16 load_partial_f16(const std::uint16_t* from, std::int64_t count) {
  std::uint16_t lanes[16] = {};
  for (std::int64_t i = 0; i < count; ++i) lanes[i] = from[i];
  return load_f16(lanes);
}
// Sixteen bytes of whole numbers in [0, 255].
inline void store_u8(std::uint8_t* to, F32x16 a) {
  const __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(a.low), _mm256_cvtps_epi32(a.high));
  const __m256i bytes = _mm256_packus_epi16(words, _mm256_setzero_si256());
  const __m256i ordered = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 0, 0, 0, 0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_castsi256_si128(ordered));
}
// Lane i holds lane i ^ kBit.
template <int kBit>
inline F32x16 swap_lanes(F32x16 a) {
  if constexpr (kBit == 1) return {_mm256_permute_ps(a.low, 0xB1), _mm256_permute_ps(a.high, 0xB1)};
  if constexpr (kBit == 2) return {_mm256_permute_ps(a.low, 0x4E), _mm256_permute_ps(a.high, 0x4E)};
  if constexpr (kBit == 4) return {_mm256_permute2f128_ps(a.low, a.low, 1), _mm256_permute2f128_ps(a.high, a.high, 1)};
  return {a.high, a.low};
}
// Lanes whose index has the bit change sign.
template <int kBit>
inline F32x16 negate_lanes(F32x16 a) {
  if constexpr (kBit == 8) return {a.low, _mm256_xor_ps(a.high, _mm256_set1_ps(-0.0F))};
  constexpr float k0 = 0.0F;
  constexpr float kS = -0.0F;
  const __m256 sign = kBit == 1   ? _mm256_setr_ps(k0, kS, k0, kS, k0, kS, k0, kS)
                      : kBit == 2 ? _mm256_setr_ps(k0, k0, kS, kS, k0, k0, kS, kS)
                                  : _mm256_setr_ps(k0, k0, k0, k0, kS, kS, kS, kS);
  return {_mm256_xor_ps(a.low, sign), _mm256_xor_ps(a.high, sign)};
}
inline std::uint16_t to_f16(float a) {
  return static_cast<std::uint16_t>(_mm_extract_epi16(_mm_cvtps_ph(_mm_set_ss(a), 0), 0));
}
inline float from_f16(std::uint16_t a) { return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(a))); }
inline float first_of(F32x16 a) { return _mm256_cvtss_f32(a.low); }
// Whole numbers in [-128, 127], sixteen bytes.
inline void store_i8(std::int8_t* to, F32x16 a) {
  const __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(a.low), _mm256_cvtps_epi32(a.high));
  // The packs work on 128-bit halves: 0-3 8-11 4-7 12-15 come out as words of four bytes and are put in order.
  const __m256i bytes = _mm256_packs_epi16(words, _mm256_setzero_si256());
  const __m256i ordered = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 0, 0, 0, 0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_castsi256_si128(ordered));
}

inline F32x16 operator+(F32x16 a, F32x16 b) { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
inline F32x16 operator-(F32x16 a, F32x16 b) { return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
inline F32x16 operator*(F32x16 a, F32x16 b) { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
inline F32x16 operator/(F32x16 a, F32x16 b) { return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)}; }
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
// c - a * b
inline F32x16 fnma(F32x16 a, F32x16 b, F32x16 c) {
  return {_mm256_fnmadd_ps(a.low, b.low, c.low), _mm256_fnmadd_ps(a.high, b.high, c.high)};
}
// Where a lane is NaN the second argument is returned.
inline F32x16 max(F32x16 a, F32x16 b) { return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)}; }
inline F32x16 min(F32x16 a, F32x16 b) { return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)}; }
inline F32x16 abs(F32x16 a) {
  const __m256 sign = _mm256_set1_ps(-0.0F);
  return {_mm256_andnot_ps(sign, a.low), _mm256_andnot_ps(sign, a.high)};
}
inline F32x16 copy_sign(F32x16 magnitude, F32x16 sign) {
  const __m256 bit = _mm256_set1_ps(-0.0F);
  return {_mm256_or_ps(magnitude.low, _mm256_and_ps(sign.low, bit)),
          _mm256_or_ps(magnitude.high, _mm256_and_ps(sign.high, bit))};
}
inline F32x16 round_nearest(F32x16 a) {
  return {_mm256_round_ps(a.low, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
          _mm256_round_ps(a.high, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
inline __m256 power_of_two(__m256i n) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
// In two steps, the first of which is exact: 2^n itself need not be a normal number.
inline __m256 scale_by_power(__m256 a, __m256 n) {
  const __m256i whole = _mm256_cvtps_epi32(n);
  const __m256i half = _mm256_srai_epi32(whole, 1);
  return _mm256_mul_ps(_mm256_mul_ps(a, power_of_two(half)), power_of_two(_mm256_sub_epi32(whole, half)));
}
// a * 2^n, n a whole number in -150 .. 128, rounded once.
inline F32x16 scale_by_power(F32x16 a, F32x16 n) {
  return {scale_by_power(a.low, n.low), scale_by_power(a.high, n.high)};
}
// Lanes first .. last-1 (0 .. 16) of a, `fill` elsewhere.
inline F32x16 keep_range(F32x16 a, std::int64_t first, std::int64_t last, float fill) {
  const __m256 other = _mm256_set1_ps(fill);
  const __m256i low = _mm256_andnot_si256(lanes_below(first, 0), lanes_below(last, 0));
  const __m256i high = _mm256_andnot_si256(lanes_below(first, 8), lanes_below(last, 8));
  return {select(low, a.low, other), select(high, a.high, other)};
}

// Pairwise: lanes 8 apart, then 4, 2, 1.
inline float reduce_add(F32x16 a) {
  const __m256 half = _mm256_add_ps(a.low, a.high);
  const __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  const __m128 pair = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_add_ss(pair, _mm_shuffle_ps(pair, pair, 1)));
}
inline float reduce_max(F32x16 a) {
  const __m256 half = _mm256_max_ps(a.low, a.high);
  const __m128 quarter = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  const __m128 pair = _mm_max_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_max_ss(pair, _mm_shuffle_ps(pair, pair, 1)));
}

inline F64x16 zero_f64() {
  return {{_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd()}};
}
inline F64x16 add_widened(F64x16 sum, F32x16 a) {
  return {{_mm256_add_pd(sum.v[0], _mm256_cvtps_pd(_mm256_castps256_ps128(a.low))),
           _mm256_add_pd(sum.v[1], _mm256_cvtps_pd(_mm256_extractf128_ps(a.low, 1))),
           _mm256_add_pd(sum.v[2], _mm256_cvtps_pd(_mm256_castps256_ps128(a.high))),
           _mm256_add_pd(sum.v[3], _mm256_cvtps_pd(_mm256_extractf128_ps(a.high, 1)))}};
}
inline double reduce_add(F64x16 a) {
  const __m256d four = _mm256_add_pd(_mm256_add_pd(a.v[0], a.v[2]), _mm256_add_pd(a.v[1], a.v[3]));
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
  return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

// rows[0 .. 7] of 8 floats become their transpose.
inline void transpose_8x8(__m256 (&rows)[8]) {
  __m256 quads[8];
  for (int i = 0; i < 8; i += 4) {
    const __m256 low01 = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
    const __m256 high01 = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
    const __m256 low23 = _mm256_unpacklo_ps(rows[i + 2], rows[i + 3]);
    const __m256 high23 = _mm256_unpackhi_ps(rows[i + 2], rows[i + 3]);
    quads[i] = _mm256_shuffle_ps(low01, low23, 0x44);
    quads[i + 1] = _mm256_shuffle_ps(low01, low23, 0xEE);
    quads[i + 2] = _mm256_shuffle_ps(high01, high23, 0x44);
    quads[i + 3] = _mm256_shuffle_ps(high01, high23, 0xEE);
  }
  for (int c = 0; c < 4; ++c) {
    rows[c] = _mm256_permute2f128_ps(quads[c], quads[4 + c], 0x20);
    rows[4 + c] = _mm256_permute2f128_ps(quads[c], quads[4 + c], 0x31);
  }
}

// to[c * to_stride + r] = from[r * from_stride + c] for r < num_rows, c < num_cols (1 .. 16 each); rows above are written 0.
inline void transpose_to(const float* from, std::int64_t from_stride, std::int64_t num_rows, std::int64_t num_cols,
                         float* to, std::int64_t to_stride) {
  for (int first_col = 0; first_col < num_cols; first_col += 8)
    for (int first_row = 0; first_row < 16; first_row += 8) {
      const __m256i valid = lanes_below(num_cols, first_col);
      __m256 rows[8];
      for (int r = 0; r < 8; ++r)
        rows[r] = first_row + r < num_rows ? _mm256_maskload_ps(from + (first_row + r) * from_stride + first_col, valid)
                                           : _mm256_setzero_ps();
      transpose_8x8(rows);
      for (int c = 0; c < 8; ++c)
        if (first_col + c < num_cols) _mm256_storeu_ps(to + (first_col + c) * to_stride + first_row, rows[c]);
    }
}

}  // namespace
}  // namespace quernel::simd
