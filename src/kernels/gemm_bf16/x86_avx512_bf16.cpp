#include "kernels/gemm_bf16/entries.h"
#include "kernels/gemm_bf16/pack_avx512.h"

namespace quernel::kernels::gemm_bf16::avx512_bf16 {

namespace {

constexpr int kRows = 8;    // half an A panel
constexpr int kPanels = 3;  // 8 x 3 sums of 16 columns, 3 columns and a broadcast in 32 registers

// a: row r at a + 32 r of every tile. Sums of kRows x (16 kCount) elements over all tiles.
template <int kCount>
inline void multiply(const BlockArgs& args, const std::uint16_t* a, const std::uint16_t* b,
                     __m512 (&sums)[kRows][kCount]) {
  for (auto& of_row : sums)
    for (__m512& sum : of_row) sum = _mm512_setzero_ps();
  for (std::int64_t tile = 0; tile < args.num_tiles; ++tile, a += kTileElements, b += kTileElements)
    for (int pair = 0; pair < 16; ++pair) {
      __m512bh columns[kCount];
      for (int c = 0; c < kCount; ++c)
        columns[c] = reinterpret_cast<__m512bh>(_mm512_loadu_si512(b + c * args.b_panel_stride + 32 * pair));
      for (int r = 0; r < kRows; ++r) {
        std::int32_t both;
        __builtin_memcpy(&both, a + 32 * r + 2 * pair, sizeof(both));
        const auto value = reinterpret_cast<__m512bh>(_mm512_set1_epi32(both));
        for (int c = 0; c < kCount; ++c) sums[r][c] = _mm512_dpbf16_ps(sums[r][c], value, columns[c]);
      }
    }
}

template <int kCount>
void tile(const BlockArgs& args, std::int64_t row, std::int64_t col) {
  __m512 sums[kRows][kCount];
  multiply<kCount>(args, args.a + row / kPanel * args.a_panel_stride + row % kPanel * kTileDepth,
                   args.b + col / kPanel * args.b_panel_stride, sums);
  const std::int64_t rows = args.rows - row < kRows ? args.rows - row : kRows;
  for (int r = 0; r < kRows; ++r) {
    if (r >= rows) break;
    for (int c = 0; c < kCount; ++c) {
      float* out = args.out + (row + r) * args.out_stride + col + c * kPanel;
      const __mmask16 inside = first16(args.cols - col - c * kPanel);
      const __m512 before = args.accumulate ? _mm512_maskz_loadu_ps(inside, out) : _mm512_setzero_ps();
      _mm512_mask_storeu_ps(out, inside, _mm512_add_ps(before, sums[r][c]));
    }
  }
}

// Columns outside: three B panels stay in the first-level cache while all A panels pass.
void block(const BlockArgs& args) noexcept {
  std::int64_t col = 0;
  for (; col + (kPanels - 1) * kPanel < args.cols; col += kPanels * kPanel)
    for (std::int64_t row = 0; row < args.rows; row += kRows) tile<kPanels>(args, row, col);
  if (col + kPanel < args.cols)
    for (std::int64_t row = 0; row < args.rows; row += kRows) tile<2>(args, row, col);
  else if (col < args.cols)
    for (std::int64_t row = 0; row < args.rows; row += kRows) tile<1>(args, row, col);
}

}  // namespace

Functions functions() noexcept { return {kPackARows, kPackBRows, kPackBRowsBf16, kPackAColumns, kPackBColumns, block}; }

}  // namespace quernel::kernels::gemm_bf16::avx512_bf16
