#include "quant/solver.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "base/checked.h"
#include "kernels/rounding/table.h"
#include "tensor/linalg.h"

namespace quernel::quant {
namespace {

// Columns [first, end) of the solver's order.
struct Span {
  std::int64_t first = 0;
  std::int64_t end = 0;
  [[nodiscard]] std::int64_t size() const { return end - first; }
};

// What every tile of a job shares.
struct Job {
  ConstMatrixView weight;
  const PreparedHessian& prepared;
  Grid& grid;
  std::int64_t window = 0;  // columns of a window; 0: none
  std::int64_t block_size =
      0;  // a multiple of the window where a block holds several, at most the window where it does not
};

// Buffers of one thread, for one tile at a time.
struct Scratch {
  Matrix errors;        // [kTileRows, cols] e, in solver order
  Matrix panel;         // [kTileRows, widest span] compensated weights of a span
  Matrix block;         // [block, kTileRows] the same of a block, rows contiguous
  Matrix block_errors;  // [block, kTileRows]
  Matrix window;        // [kTileRows, window]
  std::vector<float> value = std::vector<float>(kTileRows);

  explicit Scratch(const Job& job)
      : errors(kTileRows, job.weight.cols),
        panel(kTileRows, std::max(job.block_size, job.window)),
        block(job.block_size, kTileRows),
        block_errors(job.block_size, kTileRows),
        window(kTileRows, job.window) {}
};

// One tile of rows on its way through all columns.
class TileSolver {
 public:
  TileSolver(const Job& job, Scratch& scratch, RowTile tile) : job_(job), scratch_(scratch), tile_(tile) {}

  bool run() {
    const std::int64_t cols = job_.weight.cols;
    for (std::int64_t first = 0; first < cols;) {
      // A block never reaches over the end of a window that is wider than it.
      std::int64_t end = std::min(first + job_.block_size, cols);
      if (job_.window > job_.block_size) {
        end = std::min(end, (first / job_.window + 1) * job_.window);
        if (first % job_.window == 0) open_wide_window(first);
      }
      solve_block({first, end});
      first = end;
    }
    return finite_;
  }

 private:
  // The weights of a span, made up for all errors of columns before it: panel [tile.count, span].
  MatrixView compensated(Span span) {
    MatrixView panel = scratch_.panel.view().block(0, tile_.count, 0, span.size());
    const std::int32_t* order = job_.prepared.order.data() + span.first;
    for (std::int64_t row = 0; row < tile_.count; ++row) {
      const float* from = job_.weight.row(tile_.first + row).data();
      float* to = panel.row(row).data();
      for (std::int64_t k = 0; k < span.size(); ++k) to[k] = from[order[k]];
    }
    if (span.first > 0) {
      gemm_nn(scratch_.errors.view().block(0, tile_.count, 0, span.first),
              job_.prepared.upper.view().block(0, span.first, span.first, span.size()), panel, -1.0F, 1.0F);
    }
    return panel;
  }

  void open_window(Span span, ConstMatrixView targets) {
    job_.grid.open_window(tile_, span.first / job_.window,
                          {job_.prepared.order.data() + span.first, static_cast<std::size_t>(span.size())}, targets);
  }

  void open_wide_window(std::int64_t first) {
    const Span span = {first, std::min(first + job_.window, job_.weight.cols)};
    open_window(span, compensated(span));
  }

  // A window inside a block: its columns as they stand after the columns before it in the block.
  void open_narrow_window(Span block, std::int64_t first) {
    const Span span = {first, std::min(first + job_.window, block.end)};
    const MatrixView targets = scratch_.window.view().block(0, tile_.count, 0, span.size());
    for (std::int64_t k = 0; k < span.size(); ++k) {
      const float* column = block_column(first - block.first + k);
      for (std::int64_t row = 0; row < tile_.count; ++row) targets(row, k) = column[row];
    }
    open_window(span, targets);
  }

  float* block_column(std::int64_t index) { return scratch_.block.data() + index * tile_.lanes; }
  float* block_error(std::int64_t index) { return scratch_.block_errors.data() + index * tile_.lanes; }

  void load_block(Span block) {
    const MatrixView panel = compensated(block);
    for (std::int64_t k = 0; k < block.size(); ++k) {
      float* column = block_column(k);
      for (std::int64_t row = 0; row < tile_.count; ++row) column[row] = panel(row, k);
      std::fill(column + tile_.count, column + tile_.lanes, 0.0F);
    }
  }

  void store_errors(Span block) {
    float sum = 0.0F;  // NaN as soon as one error is not finite
    for (std::int64_t row = 0; row < tile_.count; ++row) {
      float* to = scratch_.errors.row(row).data() + block.first;
      for (std::int64_t k = 0; k < block.size(); ++k) {
        to[k] = block_error(k)[row];
        sum += to[k] * 0.0F;
      }
    }
    finite_ = finite_ && sum == 0.0F;
  }

  void solve_block(Span block) {
    const kernels::rounding::Functions& ops = kernels::rounding::functions();
    load_block(block);
    const bool narrow_windows = job_.window > 0 && job_.window <= job_.block_size;
    for (std::int64_t k = 0; k < block.size(); ++k) {
      const std::int64_t position = block.first + k;
      if (narrow_windows && position % job_.window == 0) open_narrow_window(block, position);
      float* value = scratch_.value.data();
      job_.grid.round_column(tile_, job_.prepared.order[static_cast<std::size_t>(position)], block_column(k), value);
      const float* factor = &job_.prepared.upper(position, position);
      ops.scaled_errors(block_column(k), value, factor[0], tile_.lanes, block_error(k));
      ops.subtract_outer(factor + 1, block_error(k), block.size() - k - 1, tile_.lanes, block_column(k + 1));
    }
    store_errors(block);
  }

  const Job& job_;
  Scratch& scratch_;
  RowTile tile_;
  bool finite_ = true;
};

std::int64_t block_size_for(std::int64_t wanted, std::int64_t window, std::int64_t cols) {
  const std::int64_t size = std::min(wanted, cols);
  if (window == 0 || window > size) return size;
  return size / window * window;
}

}  // namespace

bool solve(ConstMatrixView weight, const PreparedHessian& prepared, Grid& grid, sys::ThreadPool& pool) {
  QUERNEL_CHECK(!prepared.failure && prepared.upper.cols() == weight.cols, "a factor of {} columns for {}",
                prepared.upper.cols(), weight.cols);
  QUERNEL_CHECK(kTileRows % grid.row_multiple() == 0, "rows in multiples of {}", grid.row_multiple());
  const Job job = {weight, prepared, grid, grid.window_size(),
                   block_size_for(prepared.solver.block_size, grid.window_size(), weight.cols)};
  std::vector<std::unique_ptr<Scratch>> scratch(static_cast<std::size_t>(pool.num_threads()));
  std::atomic<bool> finite{true};
  pool.parallel_for_worker(ceil_div(weight.rows, kTileRows), [&](std::int64_t task, int worker) {
    std::unique_ptr<Scratch>& own = scratch[static_cast<std::size_t>(worker)];
    if (own == nullptr) own = std::make_unique<Scratch>(job);
    const std::int64_t first = task * kTileRows;
    const std::int64_t count = std::min(kTileRows, weight.rows - first);
    const RowTile tile = {first, count,
                          ceil_div(count, kernels::rounding::kLaneMultiple) * kernels::rounding::kLaneMultiple};
    if (!TileSolver(job, *own, tile).run()) finite = false;
  });
  return finite;
}

}  // namespace quernel::quant
