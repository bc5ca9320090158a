// What the error-feedback solver asks of a grid. The solver owns order, compensation and threads; the grid owns what
// values there are, and the codes.
//
// A grid decides one column at a time for a tile of rows. That covers
//   integers with group scales         grouped_grid.h, integer_grid.h, two_level_grid.h
//   block types of GGUF                scales of a block found first (or in open_window), then one column after the
//   other vector codebooks (VPTQ)      vectors run along the rows inside one column: row_multiple() =
//                                      vector length
// A grid that must decide several columns together (trellis tiles, lattices along the input) needs a block factor of
// the Hessian and a step of several columns; it would join here as a second virtual beside round_column.
//
// Threads  the solver calls open_window and round_column for different row tiles at the same time, for one tile in solver
//          order; a grid writes only what belongs to the rows it was given
#pragma once

#include <cstdint>
#include <span>

#include "tensor/matrix.h"

namespace quernel::quant {

// Rows [first, first + count). Arrays passed for a tile hold `lanes` entries: count rounded up to kLaneMultiple of
// kernels/rounding; entries past count are 0 on the way in and ignored on the way out.
struct RowTile {
  std::int64_t first = 0;
  std::int64_t count = 0;
  std::int64_t lanes = 0;
};

class Grid {
 public:
  virtual ~Grid() = default;

  // Rows of a tile come in multiples of this (the last tile excepted).
  [[nodiscard]] virtual std::int64_t row_multiple() const { return 1; }

  // Positions [i * w, (i + 1) * w) of the solver's order form window i, whose parameters depend on weights as
  // compensated when its first column is reached. 0: every parameter is known before the loop.
  [[nodiscard]] virtual std::int64_t window_size() const { return 0; }
  // targets [tile.count, columns]: the compensated weights of the window; columns in solver order.
  virtual void open_window(RowTile tile, std::int64_t window, std::span<const std::int32_t> columns,
                           ConstMatrixView targets) {
    (void)tile, (void)window, (void)columns, (void)targets;
  }

  // Keeps the code of the value nearest to target [lanes] in each row of `column`, and returns the values [lanes].
  virtual void round_column(RowTile tile, std::int64_t column, const float* target, float* value) = 0;
};

}  // namespace quernel::quant
