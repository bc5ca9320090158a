// The packs of gemm_bf16.h with AVX-512 BF16. Included by the instruction-set files.
//
// Two ways to read a tile - sixteen rows of 32 k, or sixteen pairs of k over sixteen columns - and one transposition of
// 16 x 16 pairs between them make all five packs.
#pragma once

#include <immintrin.h>

#include "kernels/gemm_bf16/gemm_bf16.h"

namespace quernel::kernels::gemm_bf16 {
namespace {

struct Tile {
  __m512i row[16];
};

inline __mmask16 first16(std::int64_t count) {
  return static_cast<__mmask16>(count >= 16 ? 0xFFFFu : count <= 0 ? 0u : (1u << count) - 1u);
}
inline __m256i narrow(__m512 a) { return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(a)); }

// row[lane] = source[lane][k .. k+31]
inline void read_rows(const float* source, std::int64_t stride, std::int64_t lanes, std::int64_t depth, Tile& tile) {
  for (int lane = 0; lane < 16; ++lane) {
    if (lane >= lanes) {
      tile.row[lane] = _mm512_setzero_si512();
      continue;
    }
    const float* from = source + lane * stride;
    const __m512 low = _mm512_maskz_loadu_ps(first16(depth), from);
    const __m512 high = _mm512_maskz_loadu_ps(first16(depth - 16), from + 16);
    tile.row[lane] = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
  }
}
inline void read_rows(const std::uint16_t* source, std::int64_t stride, std::int64_t lanes, std::int64_t depth,
                      Tile& tile) {
  const auto inside = static_cast<__mmask32>(depth >= 32 ? 0xFFFFFFFFu : (1u << depth) - 1u);
  for (int lane = 0; lane < 16; ++lane)
    tile.row[lane] = lane < lanes ? _mm512_maskz_loadu_epi16(inside, source + lane * stride) : _mm512_setzero_si512();
}
// row[pair] = source[2 pair][c], source[2 pair + 1][c] for c = 0 .. 15
inline void read_columns(const float* source, std::int64_t stride, std::int64_t lanes, std::int64_t depth, Tile& tile) {
  const __mmask16 inside = first16(lanes);
  for (int pair = 0; pair < 16; ++pair) {
    const float* from = source + 2 * pair * stride;
    const __m512 even = 2 * pair < depth ? _mm512_maskz_loadu_ps(inside, from) : _mm512_setzero_ps();
    const __m512 odd = 2 * pair + 1 < depth ? _mm512_maskz_loadu_ps(inside, from + stride) : _mm512_setzero_ps();
    tile.row[pair] =
        _mm512_or_si512(_mm512_cvtepu16_epi32(narrow(even)), _mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow(odd)), 16));
  }
}

inline void transpose(Tile& tile) {
  __m512i pairs[16];
  for (int i = 0; i < 16; i += 2) {
    pairs[i] = _mm512_unpacklo_epi32(tile.row[i], tile.row[i + 1]);
    pairs[i + 1] = _mm512_unpackhi_epi32(tile.row[i], tile.row[i + 1]);
  }
  __m512i quads[16];
  for (int i = 0; i < 16; i += 4)
    for (int j = 0; j < 2; ++j) {
      quads[i + 2 * j] = _mm512_unpacklo_epi64(pairs[i + j], pairs[i + 2 + j]);
      quads[i + 2 * j + 1] = _mm512_unpackhi_epi64(pairs[i + j], pairs[i + 2 + j]);
    }
  // quads[4 g + c] holds, in its four 128-bit parts p, column 4 p + c of rows 4 g .. 4 g + 3.
  for (int c = 0; c < 4; ++c) {
    const __m512i low01 = _mm512_shuffle_i32x4(quads[c], quads[4 + c], 0x44);
    const __m512i high01 = _mm512_shuffle_i32x4(quads[c], quads[4 + c], 0xEE);
    const __m512i low23 = _mm512_shuffle_i32x4(quads[8 + c], quads[12 + c], 0x44);
    const __m512i high23 = _mm512_shuffle_i32x4(quads[8 + c], quads[12 + c], 0xEE);
    tile.row[c] = _mm512_shuffle_i32x4(low01, low23, 0x88);
    tile.row[4 + c] = _mm512_shuffle_i32x4(low01, low23, 0xDD);
    tile.row[8 + c] = _mm512_shuffle_i32x4(high01, high23, 0x88);
    tile.row[12 + c] = _mm512_shuffle_i32x4(high01, high23, 0xDD);
  }
}

template <class Source, bool kColumns, bool kTransposed>
void pack(const PackArgs& args) noexcept {
  const auto* source = static_cast<const Source*>(args.source);
  std::uint16_t* out = args.out;
  for (std::int64_t k = 0; k < args.depth; k += kTileDepth, out += kTileElements) {
    Tile tile;
    if constexpr (kColumns)
      read_columns(source + k * args.stride, args.stride, args.lanes, args.depth - k, tile);
    else
      read_rows(source + k, args.stride, args.lanes, args.depth - k, tile);
    if constexpr (kTransposed) transpose(tile);
    for (int i = 0; i < 16; ++i) _mm512_storeu_si512(out + 32 * i, tile.row[i]);
  }
}

constexpr Pack kPackARows = pack<float, false, false>;
constexpr Pack kPackBRows = pack<float, false, true>;
constexpr Pack kPackBRowsBf16 = pack<std::uint16_t, false, true>;
constexpr Pack kPackAColumns = pack<float, true, true>;
constexpr Pack kPackBColumns = pack<float, true, false>;

}  // namespace
}  // namespace quernel::kernels::gemm_bf16
