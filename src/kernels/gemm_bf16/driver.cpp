#include "kernels/gemm_bf16/driver.h"

#include <algorithm>

#include "base/check.h"
#include "base/checked.h"

namespace quernel::kernels::gemm_bf16 {

namespace {

// A block of output is one task. Along k a block is cut so that three B panels (36 KiB) stay in the first-level cache and
// the block's A panels (96 KiB) in the second.
constexpr std::int64_t kBlockRows = 128;
constexpr std::int64_t kBlockCols = 192;
constexpr std::int64_t kCutTiles = 12;
// Blocks of a triangle are smaller, so that less is computed above the diagonal: 8 % too much for 576 columns.
constexpr std::int64_t kSquare = 96;
constexpr std::int64_t kStep = 48;  // columns of a diagonal block that begin at the same row
// Packs of one round: of gemm_nt by bytes, of sums over rows by depth.
constexpr std::int64_t kPackedRowBytes = std::int64_t{8} << 20;
constexpr std::int64_t kPackedColBytes = std::int64_t{4} << 20;
constexpr std::int64_t kRoundDepth = 4 * kCutTiles * kTileDepth;  // 1536 rows
constexpr std::int64_t kPanelsPerTask = 4;                        // 256 bytes of a source row, four cache lines

std::int64_t num_panels(std::int64_t lanes) { return ceil_div(lanes, kPanel); }
std::int64_t num_tiles(std::int64_t depth) { return ceil_div(depth, kTileDepth); }

// All panels of one side, packed.
class Packed {
 public:
  Packed(std::int64_t max_lanes, std::int64_t max_depth)
      : data_(allocate_aligned<std::uint16_t>(num_panels(max_lanes) * num_tiles(max_depth) * kTileElements)) {}

  // Panels of `source`, whose lanes are rows (k along the row) or columns (k down the column).
  template <class T>
  void fill(Pack pack, BasicView<const T> source, bool lanes_are_rows, sys::ThreadPool& pool) {
    const std::int64_t lanes = lanes_are_rows ? source.rows : source.cols;
    const std::int64_t depth = lanes_are_rows ? source.cols : source.rows;
    panel_stride_ = num_tiles(depth) * kTileElements;
    pool.parallel_for(ceil_div(num_panels(lanes), kPanelsPerTask), [&](std::int64_t task) {
      const std::int64_t first = task * kPanelsPerTask;
      const std::int64_t last = std::min(first + kPanelsPerTask, num_panels(lanes));
      // Tile by tile over the panels, so that cache lines of a source row are read once.
      for (std::int64_t k = 0; k < depth; k += kTileDepth)
        for (std::int64_t panel = first; panel < last; ++panel) {
          const std::int64_t lane = panel * kPanel;
          const T* from =
              lanes_are_rows ? source.data + lane * source.stride + k : source.data + k * source.stride + lane;
          pack({from, source.stride, std::min(kPanel, lanes - lane), std::min(kTileDepth, depth - k),
                data_.get() + panel * panel_stride_ + k / kTileDepth * kTileElements});
        }
    });
  }

  [[nodiscard]] const std::uint16_t* at(std::int64_t lane, std::int64_t tile) const {
    return data_.get() + lane / kPanel * panel_stride_ + tile * kTileElements;
  }
  [[nodiscard]] std::int64_t panel_stride() const { return panel_stride_; }

 private:
  std::unique_ptr<std::uint16_t[], AlignedFree> data_;
  std::int64_t panel_stride_ = 0;
};

// out (+)= the product of packed rows and columns (the first is row `row`, column `col` of the packs) over `tiles` of k.
void multiply(Block block, const Packed& a, const Packed& b, std::int64_t row, std::int64_t col, std::int64_t tiles,
              MatrixView out, bool accumulate) {
  for (std::int64_t tile = 0; tile < tiles; tile += kCutTiles)
    block({a.at(row, tile), a.panel_stride(), b.at(col, tile), b.panel_stride(), std::min(kCutTiles, tiles - tile),
           out.data, out.stride, out.rows, out.cols, accumulate || tile > 0});
}

void multiply_all(Block block, const Packed& a, const Packed& b, std::int64_t tiles, MatrixView out, bool accumulate,
                  sys::ThreadPool& pool) {
  const std::int64_t across = ceil_div(out.cols, kBlockCols);
  pool.parallel_for(ceil_div(out.rows, kBlockRows) * across, [&](std::int64_t task) {
    const std::int64_t row = task / across * kBlockRows;
    const std::int64_t col = task % across * kBlockCols;
    multiply(block, a, b, row, col, tiles,
             out.block(row, std::min(kBlockRows, out.rows - row), col, std::min(kBlockCols, out.cols - col)),
             accumulate);
  });
}

// How many lanes of `depth` fit the bytes: whole blocks, at least one.
std::int64_t lanes_of_round(std::int64_t bytes, std::int64_t depth, std::int64_t block) {
  const std::int64_t lane_bytes = num_tiles(depth) * kTileDepth * std::int64_t{sizeof(std::uint16_t)};
  return std::max(bytes / lane_bytes / block, std::int64_t{1}) * block;
}

template <class T>
void run_nt(const Functions& functions, Pack pack_b, ConstMatrixView a, BasicView<const T> b, MatrixView out,
            bool accumulate, sys::ThreadPool& pool) {
  QUERNEL_CHECK(a.cols == b.cols && out.rows == a.rows && out.cols == b.rows, "[{},{}] x [{},{}]^T -> [{},{}]", a.rows,
                a.cols, b.rows, b.cols, out.rows, out.cols);
  if (out.rows == 0 || out.cols == 0) return;
  if (a.cols == 0) {
    if (!accumulate)
      for (std::int64_t r = 0; r < out.rows; ++r) std::fill_n(&out(r, 0), out.cols, 0.0F);
    return;
  }
  const std::int64_t rows = std::min(lanes_of_round(kPackedRowBytes, a.cols, kBlockRows), a.rows);
  const std::int64_t cols = std::min(lanes_of_round(kPackedColBytes, a.cols, kBlockCols), b.rows);
  Packed packed_a(rows, a.cols);
  Packed packed_b(cols, a.cols);
  for (std::int64_t row = 0; row < a.rows; row += rows) {
    const std::int64_t num_rows = std::min(rows, a.rows - row);
    packed_a.fill(functions.pack_a_rows, a.row_block(row, num_rows), true, pool);
    for (std::int64_t col = 0; col < b.rows; col += cols) {
      const std::int64_t num_cols = std::min(cols, b.rows - col);
      packed_b.fill(pack_b, b.row_block(col, num_cols), true, pool);
      multiply_all(functions.block, packed_a, packed_b, num_tiles(a.cols), out.block(row, num_rows, col, num_cols),
                   accumulate, pool);
    }
  }
}

// A block on the diagonal: computed beside the output, of which only the lower triangle is touched.
void add_lower(Block block, const Packed& a, const Packed& b, std::int64_t first, std::int64_t tiles, MatrixView out) {
  alignas(64) float buffer[kSquare * kStep];
  for (std::int64_t col = 0; col < out.cols; col += kStep) {
    const MatrixView product(buffer, out.rows - col, std::min(kStep, out.cols - col), kStep);
    multiply(block, a, b, first + col, first + col, tiles, product, false);
    for (std::int64_t r = 0; r < product.rows; ++r)
      for (std::int64_t c = 0; c < std::min(r + 1, product.cols); ++c) out(col + r, col + c) += product(r, c);
  }
}

}  // namespace

void gemm_nt_with(const Functions& functions, ConstMatrixView a, ConstMatrixView b, MatrixView out, bool accumulate,
                  sys::ThreadPool& pool) {
  run_nt(functions, functions.pack_b_rows, a, b, out, accumulate, pool);
}
void gemm_nt_with(const Functions& functions, ConstMatrixView a, Bf16View b, MatrixView out, bool accumulate,
                  sys::ThreadPool& pool) {
  run_nt(functions, functions.pack_b_rows_bf16, a, b, out, accumulate, pool);
}

void syrk_accumulate_with(const Functions& functions, ConstMatrixView x, MatrixView out, sys::ThreadPool& pool) {
  QUERNEL_CHECK(out.rows == x.cols && out.cols == x.cols, "x has {} columns, out is [{},{}]", x.cols, out.rows,
                out.cols);
  if (x.rows == 0 || x.cols == 0) return;
  const std::int64_t depth = std::min(x.rows, kRoundDepth);
  Packed packed_a(x.cols, depth);
  Packed packed_b(x.cols, depth);
  const std::int64_t across = ceil_div(x.cols, kSquare);
  for (std::int64_t first = 0; first < x.rows; first += depth) {
    const ConstMatrixView part = x.row_block(first, std::min(depth, x.rows - first));
    packed_a.fill(functions.pack_a_columns, part, false, pool);
    packed_b.fill(functions.pack_b_columns, part, false, pool);
    pool.parallel_for(across * across, [&](std::int64_t task) {
      const std::int64_t row = task / across * kSquare;
      const std::int64_t col = task % across * kSquare;
      if (col > row) return;
      const MatrixView block =
          out.block(row, std::min(kSquare, out.rows - row), col, std::min(kSquare, out.cols - col));
      if (row == col)
        add_lower(functions.block, packed_a, packed_b, row, num_tiles(part.rows), block);
      else
        multiply(functions.block, packed_a, packed_b, row, col, num_tiles(part.rows), block, true);
    });
  }
}

void gemm_tn_accumulate_with(const Functions& functions, ConstMatrixView x, ConstMatrixView y, MatrixView out,
                             sys::ThreadPool& pool) {
  QUERNEL_CHECK(x.rows == y.rows && out.rows == x.cols && out.cols == y.cols, "[{},{}]^T x [{},{}] -> [{},{}]", x.rows,
                x.cols, y.rows, y.cols, out.rows, out.cols);
  if (x.rows == 0 || out.rows == 0 || out.cols == 0) return;
  const std::int64_t depth = std::min(x.rows, kRoundDepth);
  Packed packed_a(x.cols, depth);
  Packed packed_b(y.cols, depth);
  for (std::int64_t first = 0; first < x.rows; first += depth) {
    const std::int64_t rows = std::min(depth, x.rows - first);
    packed_a.fill(functions.pack_a_columns, x.row_block(first, rows), false, pool);
    packed_b.fill(functions.pack_b_columns, y.row_block(first, rows), false, pool);
    multiply_all(functions.block, packed_a, packed_b, num_tiles(rows), out, true, pool);
  }
}

}  // namespace quernel::kernels::gemm_bf16
