// The Hessian of one site, ready for error feedback: column order, damping and factor. Made once, shared by every
// linear that reads the same input (q, k, v; gate and up).
//
// Formula  A = P (H / mean + damp I) P^T with P the column order and mean the mean of diag(H) over live columns;
//          A^-1 = U^T U, U upper triangular, factored in double precision
// Dead     a column with H_jj == 0 is cut off from all others (its row and column of H are 0, its diagonal 1): it
//          neither gives nor takes compensation, so plain rounding of its own weight remains
// Ladder   damp, damp + damp_step, ... damp_limit; then, at damp_limit, a floor under the diagonal of 1e-6 of its
//          largest entry, times 10 up to five times; then `failure`
// Cost     memory 4 cols^2 bytes kept, 20 cols^2 while it is made
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "quant/layer_stats.h"
#include "quant/spec.h"
#include "tensor/matrix.h"

namespace quernel::quant {

struct PreparedHessian {
  SolverSpec solver;                // what it was made for; another spec needs another factor
  std::int64_t group_size = 0;      // elements, at most cols; decides the order only where that is group_aware
  std::vector<std::int32_t> order;  // [cols] column visited at each position
  Matrix upper;                     // [cols, cols] U, rows and columns in solver order; empty where failure is set
  double mean = 0.0;                // of diag(H) over live columns
  double damp = 0.0;                // the share that succeeded
  double diagonal_floor = 0.0;      // share of the largest diagonal entry; 0 unless the last rungs were needed
  std::int64_t dead_columns = 0;
  std::optional<std::string> failure;  // reason why there is no factor
};

// Errors: invalid_argument where the Hessian is not square or the solver's specification is not valid.
// Numbers that cannot be factored are no error: `failure` says why, and the method falls back.
Result<PreparedHessian> prepare_hessian(const LayerStats& stats, const GridSpec& grid, const SolverSpec& solver);

// H / mean + damp I, the matrix that was factored, with rows and columns in `order` [cols]. Only where there is a factor.
// Dead columns: damp alone, so that they decide nothing that they share with others.
Matrix damped_hessian(const LayerStats& stats, const PreparedHessian& prepared, std::span<const std::int32_t> order);

// True where `prepared` belongs to this job; methods check it before they use it.
bool is_prepared_for(const PreparedHessian& prepared, std::int64_t cols, const GridSpec& grid,
                     const SolverSpec& solver);

// group_size as elements: -1, and anything above cols, become cols.
std::int64_t effective_group_size(const GridSpec& grid, std::int64_t cols);

// Positions to columns. diagonal [cols], not negative; equal entries keep their natural order.
std::vector<std::int32_t> column_order(const std::vector<float>& diagonal, ColumnOrder order, std::int64_t group_size);

}  // namespace quernel::quant
