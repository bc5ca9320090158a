// The block of gemm_bf16.h over AMX tiles. Included after simd/amx_tiles.h or its emulation.
//
// Two A panels times two B panels: four tiles of sums (0 .. 3), two of A (4, 5), two of B (6, 7), so that four products share
// four loads. Sums of a full tile stand in `out` between calls along k; partial tiles go through a buffer.
#pragma once

#include "kernels/gemm_bf16/gemm_bf16.h"

namespace quernel::kernels::gemm_bf16 {
namespace {

constexpr std::int64_t kPackRowBytes = 64;

struct TileOut {
  float* to;
  std::int64_t stride;  // elements
  std::int64_t rows, cols;

  [[nodiscard]] bool full() const { return rows == kPanel && cols == kPanel; }
};

// The 16 x 16 elements at (row, col), cut at the border of the block; rows <= 0 or cols <= 0 where nothing is left.
inline TileOut tile_out(const BlockArgs& args, std::int64_t row, std::int64_t col) {
  const std::int64_t rows = args.rows - row < kPanel ? args.rows - row : kPanel;
  const std::int64_t cols = args.cols - col < kPanel ? args.cols - col : kPanel;
  return {args.out + row * args.out_stride + col, args.out_stride, rows, cols};
}

template <int kTile>
inline void begin_sum(const TileOut& out, bool accumulate) {
  if (!accumulate) {
    simd::tile_zero<kTile>();
  } else if (out.full()) {
    simd::tile_load<kTile>(out.to, out.stride * 4);
  } else {
    alignas(64) float buffer[kPanel * kPanel] = {};
    for (std::int64_t r = 0; r < out.rows; ++r)
      for (std::int64_t c = 0; c < out.cols; ++c) buffer[r * kPanel + c] = out.to[r * out.stride + c];
    simd::tile_load<kTile>(buffer, kPanel * 4);
  }
}

template <int kTile>
inline void end_sum(const TileOut& out) {
  if (out.full()) {
    simd::tile_store<kTile>(out.to, out.stride * 4);
    return;
  }
  alignas(64) float buffer[kPanel * kPanel];
  simd::tile_store<kTile>(buffer, kPanel * 4);
  for (std::int64_t r = 0; r < out.rows; ++r)
    for (std::int64_t c = 0; c < out.cols; ++c) out.to[r * out.stride + c] = buffer[r * kPanel + c];
}

template <bool kTwoRows, bool kTwoCols>
void tile_group(const BlockArgs& args, std::int64_t row, std::int64_t col) {
  const std::uint16_t* a0 = args.a + row / kPanel * args.a_panel_stride;
  const std::uint16_t* b0 = args.b + col / kPanel * args.b_panel_stride;
  const std::uint16_t* a1 = a0 + args.a_panel_stride;
  const std::uint16_t* b1 = b0 + args.b_panel_stride;
  begin_sum<0>(tile_out(args, row, col), args.accumulate);
  if constexpr (kTwoCols) begin_sum<1>(tile_out(args, row, col + kPanel), args.accumulate);
  if constexpr (kTwoRows) begin_sum<2>(tile_out(args, row + kPanel, col), args.accumulate);
  if constexpr (kTwoRows && kTwoCols) begin_sum<3>(tile_out(args, row + kPanel, col + kPanel), args.accumulate);
  for (std::int64_t tile = 0; tile < args.num_tiles; ++tile) {
    const std::int64_t offset = tile * kTileElements;
    simd::tile_load<4>(a0 + offset, kPackRowBytes);
    simd::tile_load<6>(b0 + offset, kPackRowBytes);
    simd::tile_multiply_bf16<0, 4, 6>();
    if constexpr (kTwoCols) {
      simd::tile_load<7>(b1 + offset, kPackRowBytes);
      simd::tile_multiply_bf16<1, 4, 7>();
    }
    if constexpr (kTwoRows) {
      simd::tile_load<5>(a1 + offset, kPackRowBytes);
      simd::tile_multiply_bf16<2, 5, 6>();
    }
    if constexpr (kTwoRows && kTwoCols) simd::tile_multiply_bf16<3, 5, 7>();
  }
  end_sum<0>(tile_out(args, row, col));
  if constexpr (kTwoCols) end_sum<1>(tile_out(args, row, col + kPanel));
  if constexpr (kTwoRows) end_sum<2>(tile_out(args, row + kPanel, col));
  if constexpr (kTwoRows && kTwoCols) end_sum<3>(tile_out(args, row + kPanel, col + kPanel));
}

void amx_block(const BlockArgs& args) noexcept {
  const simd::TileConfig config;
  simd::tile_configure(config);
  for (std::int64_t col = 0; col < args.cols; col += 2 * kPanel) {
    const bool two_cols = col + kPanel < args.cols;
    for (std::int64_t row = 0; row < args.rows; row += 2 * kPanel) {
      const bool two_rows = row + kPanel < args.rows;
      if (two_rows && two_cols)
        tile_group<true, true>(args, row, col);
      else if (two_rows)
        tile_group<true, false>(args, row, col);
      else if (two_cols)
        tile_group<false, true>(args, row, col);
      else
        tile_group<false, false>(args, row, col);
    }
  }
  simd::tile_release();
}

}  // namespace
}  // namespace quernel::kernels::gemm_bf16
