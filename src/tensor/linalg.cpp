#include "tensor/linalg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "base/check.h"
#include "base/checked.h"
#include "tensor/blas.h"

namespace quernel {

namespace {

int blas_int(std::int64_t value) {
  QUERNEL_CHECK(value >= 0 && value <= std::numeric_limits<int>::max(), "{} does not fit the library's integers",
                value);
  return static_cast<int>(value);
}
// The library refuses a leading dimension of 0 even where there is nothing to read.
template <class T>
int leading(const BasicView<T>& view) {
  return blas_int(std::max<std::int64_t>({1, view.stride, view.cols}));
}

// A grid of tiles over a matrix, of nearly equal size.
struct TileGrid {
  std::int64_t rows, cols;            // of the matrix
  std::int64_t tile_rows, tile_cols;  // of a tile; the last ones may be smaller

  [[nodiscard]] std::int64_t down() const { return ceil_div(rows, tile_rows); }
  [[nodiscard]] std::int64_t across() const { return ceil_div(cols, tile_cols); }
  [[nodiscard]] std::int64_t count() const { return down() * across(); }
};

constexpr std::int64_t kTileQuantum = 16;   // lanes of the widest registers
constexpr std::int64_t kMaxTileRows = 256;  // 256 x 384 runs at 97 % of the rate of one large call (k = 576)
constexpr std::int64_t kMaxTileCols = 384;
constexpr std::int64_t kMinTileSide = 128;  // 128 x 128: 86 %
constexpr std::int64_t kFewTiles = 8;       // below it tiles are halved, so that several threads find work

std::int64_t even_tile(std::int64_t length, std::int64_t largest) {
  const std::int64_t pieces = ceil_div(length, largest);
  return ceil_div(ceil_div(length, pieces), kTileQuantum) * kTileQuantum;
}

TileGrid plan_tiles(std::int64_t rows, std::int64_t cols) {
  std::int64_t max_rows = kMaxTileRows;
  std::int64_t max_cols = kMaxTileCols;
  TileGrid grid{rows, cols, even_tile(rows, max_rows), even_tile(cols, max_cols)};
  while (grid.count() < kFewTiles && std::max(grid.tile_rows, grid.tile_cols) > kMinTileSide) {
    (grid.tile_rows >= grid.tile_cols ? max_rows : max_cols) = std::max(grid.tile_rows, grid.tile_cols) / 2;
    grid = {rows, cols, even_tile(rows, max_rows), even_tile(cols, max_cols)};
  }
  return grid;
}

struct Tile {
  std::int64_t first_row, num_rows, first_col, num_cols;
};

Tile tile_at(const TileGrid& grid, std::int64_t index) {
  const std::int64_t row = index / grid.across() * grid.tile_rows;
  const std::int64_t col = index % grid.across() * grid.tile_cols;
  return {row, std::min(grid.tile_rows, grid.rows - row), col, std::min(grid.tile_cols, grid.cols - col)};
}

// A null pool runs the same tiles one after another.
void run(sys::ThreadPool* pool, std::int64_t count, const std::function<void(std::int64_t)>& task) {
  if (pool != nullptr && count > 1) {
    pool->parallel_for(count, task);
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) task(i);
}

void run_gemm_nt(ConstMatrixView a, ConstMatrixView b, MatrixView out, bool accumulate, sys::ThreadPool* pool) {
  QUERNEL_CHECK(a.cols == b.cols && out.rows == a.rows && out.cols == b.rows, "[{},{}] x [{},{}]^T -> [{},{}]", a.rows,
                a.cols, b.rows, b.cols, out.rows, out.cols);
  if (out.rows == 0 || out.cols == 0) return;
  const auto& blas = blas::functions();
  const TileGrid grid = plan_tiles(out.rows, out.cols);
  run(pool, grid.count(), [&](std::int64_t index) {
    const Tile t = tile_at(grid, index);
    blas.sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_int(t.num_rows), blas_int(t.num_cols), blas_int(a.cols),
               1.0F, a.data + t.first_row * a.stride, leading(a), b.data + t.first_col * b.stride, leading(b),
               accumulate ? 1.0F : 0.0F, &out(t.first_row, t.first_col), leading(out));
  });
}

void run_gemm_nn(ConstMatrixView a, ConstMatrixView b, MatrixView out, float alpha, float beta, sys::ThreadPool* pool) {
  QUERNEL_CHECK(a.cols == b.rows && out.rows == a.rows && out.cols == b.cols, "[{},{}] x [{},{}] -> [{},{}]", a.rows,
                a.cols, b.rows, b.cols, out.rows, out.cols);
  if (out.rows == 0 || out.cols == 0) return;
  const auto& blas = blas::functions();
  const TileGrid grid = plan_tiles(out.rows, out.cols);
  run(pool, grid.count(), [&](std::int64_t index) {
    const Tile t = tile_at(grid, index);
    blas.sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_int(t.num_rows), blas_int(t.num_cols), blas_int(a.cols),
               alpha, a.data + t.first_row * a.stride, leading(a), b.data + t.first_col, leading(b), beta,
               &out(t.first_row, t.first_col), leading(out));
  });
}

// Row and column of the index-th tile of a lower triangle, counted row by row.
std::pair<std::int64_t, std::int64_t> lower_tile(std::int64_t index) {
  std::int64_t row = 0;
  while (index > row) index -= ++row;
  return {row, index};
}

}  // namespace

void gemm_nt(ConstMatrixView a, ConstMatrixView b, MatrixView out, bool accumulate, sys::ThreadPool& pool) {
  run_gemm_nt(a, b, out, accumulate, &pool);
}
void gemm_nt(ConstMatrixView a, ConstMatrixView b, MatrixView out, bool accumulate) {
  run_gemm_nt(a, b, out, accumulate, nullptr);
}
void gemm_nn(ConstMatrixView a, ConstMatrixView b, MatrixView out, float alpha, float beta, sys::ThreadPool& pool) {
  run_gemm_nn(a, b, out, alpha, beta, &pool);
}
void gemm_nn(ConstMatrixView a, ConstMatrixView b, MatrixView out, float alpha, float beta) {
  run_gemm_nn(a, b, out, alpha, beta, nullptr);
}

void syrk_accumulate(ConstMatrixView x, MatrixView out, sys::ThreadPool& pool) {
  QUERNEL_CHECK(out.rows == x.cols && out.cols == x.cols, "x has {} columns, out is [{},{}]", x.cols, out.rows,
                out.cols);
  if (x.rows == 0 || x.cols == 0) return;
  const auto& blas = blas::functions();
  const std::int64_t side = plan_tiles(x.cols, x.cols).tile_rows;
  const std::int64_t across = ceil_div(x.cols, side);
  pool.parallel_for(across * (across + 1) / 2, [&](std::int64_t index) {
    const auto [i, j] = lower_tile(index);
    const std::int64_t row = i * side;
    const std::int64_t col = j * side;
    const int height = blas_int(std::min(side, x.cols - row));
    if (i == j)
      blas.ssyrk(CblasRowMajor, CblasLower, CblasTrans, height, blas_int(x.rows), 1.0F, x.data + row, leading(x), 1.0F,
                 &out(row, row), leading(out));
    else
      blas.sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, height, blas_int(side), blas_int(x.rows), 1.0F, x.data + row,
                 leading(x), x.data + col, leading(x), 1.0F, &out(row, col), leading(out));
  });
}

void gemm_tn_accumulate(ConstMatrixView x, ConstMatrixView y, MatrixView out, sys::ThreadPool& pool) {
  QUERNEL_CHECK(x.rows == y.rows && out.rows == x.cols && out.cols == y.cols, "[{},{}]^T x [{},{}] -> [{},{}]", x.rows,
                x.cols, y.rows, y.cols, out.rows, out.cols);
  if (x.rows == 0 || out.rows == 0 || out.cols == 0) return;
  const auto& blas = blas::functions();
  const TileGrid grid = plan_tiles(out.rows, out.cols);
  pool.parallel_for(grid.count(), [&](std::int64_t index) {
    const Tile t = tile_at(grid, index);
    blas.sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, blas_int(t.num_rows), blas_int(t.num_cols), blas_int(x.rows),
               1.0F, x.data + t.first_row, leading(x), y.data + t.first_col, leading(y), 1.0F,
               &out(t.first_row, t.first_col), leading(out));
  });
}

void mirror_lower(MatrixView square) {
  QUERNEL_CHECK(square.rows == square.cols);
  constexpr std::int64_t kBlock = 32;  // two blocks of 32 x 32 floats stay in the first-level cache
  for (std::int64_t block_row = 0; block_row < square.rows; block_row += kBlock)
    for (std::int64_t block_col = 0; block_col <= block_row; block_col += kBlock)
      for (std::int64_t r = block_row; r < std::min(block_row + kBlock, square.rows); ++r)
        for (std::int64_t c = block_col; c < std::min(block_col + kBlock, r); ++c) square(c, r) = square(r, c);
}

// A row-major matrix is its transpose to LAPACK, so our lower triangle is its upper one.
Status cholesky_lower(BasicView<double> a) {
  QUERNEL_CHECK(a.rows == a.cols);
  if (a.rows == 0) return ok_status();
  const int n = blas_int(a.rows);
  const int stride = leading(a);
  int info = 0;
  blas::functions().dpotrf("U", &n, a.data, &stride, &info, 1);
  QUERNEL_CHECK(info >= 0, "argument {} of dpotrf", -info);
  // A NaN slips through the library's own test; it reaches the pivot of its row.
  std::int64_t bad = info > 0 ? info - 1 : -1;
  for (std::int64_t i = 0; i < a.rows && bad < 0; ++i)
    if (!std::isfinite(a(i, i))) bad = i;
  if (bad >= 0)
    return Error(Fault::invalid_argument,
                 fmt::format("matrix is not positive definite at pivot {} of {}", bad, a.rows));
  for (std::int64_t r = 0; r < a.rows; ++r) std::fill(&a(r, 0) + r + 1, &a(r, 0) + a.cols, 0.0);
  return ok_status();
}

Status invert_lower(BasicView<double> lower) {
  QUERNEL_CHECK(lower.rows == lower.cols);
  if (lower.rows == 0) return ok_status();
  const int n = blas_int(lower.rows);
  const int stride = leading(lower);
  int info = 0;
  blas::functions().dtrtri("U", "N", &n, lower.data, &stride, &info, 1, 1);
  QUERNEL_CHECK(info >= 0, "argument {} of dtrtri", -info);
  if (info > 0)
    return Error(Fault::invalid_argument,
                 fmt::format("triangular matrix has a zero pivot {} of {}", info - 1, lower.rows));
  return ok_status();
}

// With J the reversal of the order: J a J = L L^T gives a = V V^T with V = J L J upper, so U = V^-1 = J L^-1 J. One
// factorisation and one inverse, instead of inverting a and factoring that; J on a whole matrix reverses its elements.
Result<MatrixF64> inverse_upper_cholesky(const MatrixF64& a) {
  QUERNEL_CHECK(a.rows() == a.cols());
  MatrixF64 factor = MatrixF64::uninitialized(a.rows(), a.cols());
  std::reverse_copy(a.data(), a.data() + a.size(), factor.data());
  if (Status status = cholesky_lower(factor.view()); !status.ok()) {
    Error error = std::move(status).error();
    error.message += " (counted from the last row)";
    return error;
  }
  QUERNEL_TRY_STATUS(invert_lower(factor.view()));
  std::reverse(factor.data(), factor.data() + factor.size());
  return factor;
}

Status blas_available() { return blas::available(); }
std::string blas_description() { return blas::functions().description; }

}  // namespace quernel
