#include "quant/prepared_hessian.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/checked.h"
#include "tensor/linalg.h"

namespace quernel::quant {
namespace {

constexpr double kFirstDiagonalFloor = 1e-6;  // of the largest entry
constexpr int kDiagonalFloors = 6;

std::vector<float> diagonal_of(const Matrix& hessian) {
  std::vector<float> diagonal(static_cast<std::size_t>(hessian.cols()));
  for (std::int64_t k = 0; k < hessian.cols(); ++k) diagonal[static_cast<std::size_t>(k)] = hessian(k, k);
  return diagonal;
}

// What makes a Hessian useless before any factorisation is tried.
std::optional<std::string> find_defect(const Matrix& hessian, const std::vector<float>& diagonal) {
  for (std::int64_t row = 0; row < hessian.rows(); ++row) {
    float sum = 0.0F;  // NaN as soon as one entry is not finite
    for (const float value : hessian.row(row)) sum += value * 0.0F;
    if (sum != 0.0F) return fmt::format("row {} of the Hessian is not finite", row);
  }
  for (std::size_t k = 0; k < diagonal.size(); ++k) {
    if (diagonal[k] < 0.0F) return fmt::format("diagonal entry {} of the Hessian is negative", k);
  }
  if (std::all_of(diagonal.begin(), diagonal.end(), [](float entry) { return entry == 0.0F; })) {
    return "no calibration token reached this input";
  }
  return std::nullopt;
}

double mean_of_live(const std::vector<float>& diagonal) {
  double sum = 0.0;
  std::int64_t live = 0;
  for (const float entry : diagonal) {
    sum += entry;
    live += entry > 0.0F ? 1 : 0;
  }
  return sum / static_cast<double>(live);
}

// The Hessian in solver order, divided by the mean of its live diagonal, dead columns cut off. Lower triangle and its
// mirror.
MatrixF64 normalized(const Matrix& hessian, const std::vector<float>& diagonal,
                     const std::vector<std::int32_t>& order) {
  const std::int64_t cols = hessian.cols();
  const double inverse_mean = 1.0 / mean_of_live(diagonal);
  MatrixF64 out = MatrixF64::uninitialized(cols, cols);
  for (std::int64_t p = 0; p < cols; ++p) {
    const std::int32_t row = order[static_cast<std::size_t>(p)];
    const bool row_dead = diagonal[static_cast<std::size_t>(row)] == 0.0F;
    for (std::int64_t q = 0; q <= p; ++q) {
      const std::int32_t col = order[static_cast<std::size_t>(q)];
      const bool dead = row_dead || diagonal[static_cast<std::size_t>(col)] == 0.0F;
      out(p, q) = dead ? 0.0 : hessian(row, col) * inverse_mean;
    }
    if (row_dead) out(p, p) = 1.0;
  }
  for (std::int64_t p = 0; p < cols; ++p) {
    for (std::int64_t q = p + 1; q < cols; ++q) out(p, q) = out(q, p);
  }
  return out;
}

void set_diagonal(MatrixF64& matrix, const std::vector<double>& diagonal, double damp, double floor) {
  for (std::int64_t k = 0; k < matrix.cols(); ++k) {
    matrix(k, k) = std::max(diagonal[static_cast<std::size_t>(k)] + damp, floor);
  }
}

Matrix to_float(const MatrixF64& from) {
  Matrix to = Matrix::uninitialized(from.rows(), from.cols());
  std::transform(from.data(), from.data() + from.size(), to.data(),
                 [](double value) { return static_cast<float>(value); });
  return to;
}

bool is_finite(const Matrix& matrix) {
  return std::all_of(matrix.data(), matrix.data() + matrix.size(), [](float value) { return std::isfinite(value); });
}

// One rung. True where the factor exists and fits float.
bool try_factor(MatrixF64& matrix, const std::vector<double>& diagonal, double damp, double floor,
                PreparedHessian& prepared) {
  const double largest = *std::max_element(diagonal.begin(), diagonal.end());
  set_diagonal(matrix, diagonal, damp, floor * largest);
  Result<MatrixF64> upper = inverse_upper_cholesky(matrix);
  if (!upper.ok()) return false;
  Matrix factor = to_float(*upper);
  if (!is_finite(factor)) return false;
  prepared.upper = std::move(factor);
  prepared.damp = damp;
  prepared.diagonal_floor = floor;
  return true;
}

void climb_ladder(MatrixF64& matrix, PreparedHessian& prepared) {
  const SolverSpec& solver = prepared.solver;
  std::vector<double> diagonal(static_cast<std::size_t>(matrix.cols()));
  for (std::int64_t k = 0; k < matrix.cols(); ++k) diagonal[static_cast<std::size_t>(k)] = matrix(k, k);
  for (int rung = 0;; ++rung) {
    const double damp = solver.damp + rung * solver.damp_step;
    if (damp > solver.damp_limit) break;
    if (try_factor(matrix, diagonal, damp, 0.0, prepared)) return;
  }
  double floor = kFirstDiagonalFloor;
  for (int rung = 0; rung < kDiagonalFloors; ++rung, floor *= 10.0) {
    if (try_factor(matrix, diagonal, solver.damp_limit, floor, prepared)) return;
  }
  prepared.failure = fmt::format("the Hessian is not positive definite, even with damping {}", solver.damp_limit);
}

}  // namespace

std::int64_t effective_group_size(const GridSpec& grid, std::int64_t cols) {
  return grid.group_size == -1 ? std::max<std::int64_t>(cols, 1)
                               : std::min(grid.group_size, std::max<std::int64_t>(cols, 1));
}

std::vector<std::int32_t> column_order(const std::vector<float>& diagonal, ColumnOrder order, std::int64_t group_size) {
  const auto cols = static_cast<std::int64_t>(diagonal.size());
  std::vector<std::int32_t> columns(diagonal.size());
  std::iota(columns.begin(), columns.end(), 0);
  const auto entry = [&](std::int32_t column) { return diagonal[static_cast<std::size_t>(column)]; };
  const auto falling = [&](std::int32_t a, std::int32_t b) { return entry(a) > entry(b); };
  if (order == ColumnOrder::natural) return columns;
  if (order == ColumnOrder::act_order) {
    std::stable_sort(columns.begin(), columns.end(), falling);
    return columns;
  }
  const std::int64_t whole_groups = cols / group_size;
  for (std::int64_t first = 0; first < cols; first += group_size) {
    std::stable_sort(columns.begin() + first, columns.begin() + std::min(first + group_size, cols), falling);
  }
  std::vector<std::int64_t> groups(static_cast<std::size_t>(whole_groups));
  std::iota(groups.begin(), groups.end(), 0);
  const auto best_of = [&](std::int64_t group) { return entry(columns[static_cast<std::size_t>(group * group_size)]); };
  std::stable_sort(groups.begin(), groups.end(),
                   [&](std::int64_t a, std::int64_t b) { return best_of(a) > best_of(b); });
  std::vector<std::int32_t> visited;
  visited.reserve(columns.size());
  for (const std::int64_t group : groups) {
    visited.insert(visited.end(), columns.begin() + group * group_size, columns.begin() + (group + 1) * group_size);
  }
  visited.insert(visited.end(), columns.begin() + whole_groups * group_size, columns.end());
  return visited;
}

bool is_prepared_for(const PreparedHessian& prepared, std::int64_t cols, const GridSpec& grid,
                     const SolverSpec& solver) {
  const bool same_order =
      prepared.solver.order == solver.order &&
      (solver.order != ColumnOrder::group_aware || prepared.group_size == effective_group_size(grid, cols));
  return same_order && std::cmp_equal(prepared.order.size(), cols) && prepared.solver.damp == solver.damp &&
         prepared.solver.damp_step == solver.damp_step && prepared.solver.damp_limit == solver.damp_limit;
}

Matrix damped_hessian(const LayerStats& stats, const PreparedHessian& prepared, std::span<const std::int32_t> order) {
  const Matrix& hessian = stats.hessian;
  const std::int64_t cols = hessian.cols();
  const std::vector<float> diagonal = diagonal_of(hessian);
  const double inverse_mean = 1.0 / prepared.mean;
  const double largest = *std::max_element(diagonal.begin(), diagonal.end()) * inverse_mean;
  Matrix out = Matrix::uninitialized(cols, cols);
  for (std::int64_t p = 0; p < cols; ++p) {
    const std::int32_t row = order[static_cast<std::size_t>(p)];
    for (std::int64_t q = 0; q < cols; ++q) {
      const std::int32_t col = order[static_cast<std::size_t>(q)];
      const bool dead =
          diagonal[static_cast<std::size_t>(row)] == 0.0F || diagonal[static_cast<std::size_t>(col)] == 0.0F;
      out(p, q) = dead ? 0.0F : static_cast<float>(hessian(row, col) * inverse_mean);
    }
    out(p, p) = static_cast<float>(std::max(out(p, p) + prepared.damp, prepared.diagonal_floor * largest));
  }
  return out;
}

Result<PreparedHessian> prepare_hessian(const LayerStats& stats, const GridSpec& grid, const SolverSpec& solver) {
  QUERNEL_TRY_STATUS(validate(grid));
  QUERNEL_TRY_STATUS(validate(solver));
  const Matrix& hessian = stats.hessian;
  if (hessian.rows() != hessian.cols() || hessian.cols() == 0) {
    return Error(Fault::invalid_argument, "the Hessian is not square")
        .expect("cols x cols", fmt::format("{} x {}", hessian.rows(), hessian.cols()));
  }
  PreparedHessian prepared;
  prepared.solver = solver;
  prepared.group_size = effective_group_size(grid, hessian.cols());
  const std::vector<float> diagonal = diagonal_of(hessian);
  prepared.failure = find_defect(hessian, diagonal);
  if (prepared.failure) {
    prepared.order = column_order(std::vector<float>(diagonal.size(), 0.0F), ColumnOrder::natural, prepared.group_size);
    return prepared;
  }
  prepared.dead_columns = std::count(diagonal.begin(), diagonal.end(), 0.0F);
  prepared.order = column_order(diagonal, solver.order, prepared.group_size);
  prepared.mean = mean_of_live(diagonal);
  MatrixF64 matrix = normalized(hessian, diagonal, prepared.order);
  climb_ladder(matrix, prepared);
  return prepared;
}

}  // namespace quernel::quant
