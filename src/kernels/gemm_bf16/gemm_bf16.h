// Blocks of bf16 products: how inputs are packed, and what a variant computes from the packs. Callers use products.h.
//
// Layout   A pack: panels of 16 rows, a panel is a run of tiles [16 rows][32 k] bf16 (1 KiB) in rising k.
//          B pack: panels of 16 columns, a panel is a run of tiles [16 pairs of k][16 columns][2] bf16 in rising k.
//          Both are what the AMX tile product reads. Rows, columns and k beyond the matrix are 0.
// Formula  out[r][c] (+)= sum over k of A[r][k] * B[k][c], fp32
// Exact    the sum of an element depends on its row of A, column of B and the cuts along k alone
// Threads  pure functions
#pragma once

#include <cstdint>

namespace quernel::kernels::gemm_bf16 {

constexpr std::int64_t kPanel = 16;      // rows of an A panel, columns of a B panel
constexpr std::int64_t kTileDepth = 32;  // k of one tile
constexpr std::int64_t kTileElements = kPanel * kTileDepth;

// One panel: `lanes` rows or columns (1 .. 16), k = 0 .. depth-1, into ceil(depth / 32) tiles.
struct PackArgs {
  const void* source = nullptr;  // fp32 or bf16
  std::int64_t stride = 0;       // of the source, in elements
  std::int64_t lanes = 0;
  std::int64_t depth = 0;
  std::uint16_t* out = nullptr;
};
using Pack = void (*)(const PackArgs&) noexcept;

struct BlockArgs {
  const std::uint16_t* a = nullptr;  // panel p at a + p * a_panel_stride
  std::int64_t a_panel_stride = 0;
  const std::uint16_t* b = nullptr;
  std::int64_t b_panel_stride = 0;
  std::int64_t num_tiles = 0;  // along k
  float* out = nullptr;        // [rows, cols]
  std::int64_t out_stride = 0;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  bool accumulate = false;
};
using Block = void (*)(const BlockArgs&) noexcept;

struct Functions {
  Pack pack_a_rows;       // source [lanes, depth] fp32: k runs along the row
  Pack pack_b_rows;       // the same
  Pack pack_b_rows_bf16;  // the same of bf16
  Pack pack_a_columns;    // source [depth, lanes] fp32: k runs down the column
  Pack pack_b_columns;    // the same
  Block block;
};

}  // namespace quernel::kernels::gemm_bf16
