// QoQ: error feedback on the two-level grid of the integer runtime; plain rounding on it where there are no statistics.
#include <fmt/format.h>

#include <utility>
#include <vector>

#include "quant/integer_grid.h"
#include "quant/methods.h"
#include "quant/prepared_hessian.h"
#include "quant/solver.h"
#include "quant/super_weights.h"
#include "quant/target.h"
#include "quant/two_level_grid.h"

namespace quernel::quant {
namespace {

Status check_specification(const MethodInput& input) {
  if (input.grid.bits != 4) {
    return Error(Fault::invalid_argument, "qoq has 4 bits")
        .in_field("bits")
        .expect("4", fmt::format("{}", input.grid.bits));
  }
  if (input.grid.scale_dtype == DType::f32) {
    return Error(Fault::invalid_argument, "the row scales of qoq have 16 bits")
        .in_field("scale-dtype")
        .expect("f16 or bf16", "f32");
  }
  if (input.solver.order == ColumnOrder::act_order && !input.solver.static_groups) {
    return Error(Fault::invalid_argument, "groups of qoq are neighbouring columns")
        .in_field("static-groups")
        .expect("true with act-order", "false")
        .with_hint("--order group-aware or natural can find groups as it goes");
  }
  return {};
}

// Scales of groups and rows for `target`, single weights that are kept beside the codes held out.
Result<TwoLevelGrid> find_grid(const MethodInput& input, ConstMatrixView target, sys::ThreadPool& pool) {
  const std::int64_t cols = input.weight.cols;
  TwoLevelGrid grid(input.weight.rows, cols, input.grid, search_weights(input.stats, input.grid, cols));
  std::vector<codec::Outlier> kept;
  if (input.solver.super_weights && input.stats != nullptr) kept = find_super_weights(input.weight, *input.stats, pool);
  if (kept.empty()) {
    QUERNEL_TRY_STATUS(grid.find(target, pool));
    return grid;
  }
  QUERNEL_TRY_STATUS(grid.find(without(target, kept), pool));
  grid.hold_out(std::move(kept));
  return grid;
}

// Refinement knows codes only: it works on what the kept weights leave of the target, and what it adds on their places joins them.
void refine_beside(const MethodInput& input, const PreparedHessian& prepared, ConstMatrixView target,
                   codec::IntegerMatrix& matrix, sys::ThreadPool& pool) {
  if (matrix.outliers.empty()) return refine_solved(input, prepared, target, matrix, pool);
  Matrix rest = without(target, matrix.outliers);
  for (const codec::Outlier& one : matrix.outliers) rest(one.row, one.col) = target(one.row, one.col) - one.value;
  refine_solved(input, prepared, rest, matrix, pool);
  for (codec::Outlier& one : matrix.outliers) {
    const std::int64_t group = matrix.group_of_column[static_cast<std::size_t>(one.col)];
    const auto entry = static_cast<std::size_t>(one.row * matrix.num_groups() + group);
    std::uint8_t& code = matrix.codes[static_cast<std::size_t>(one.row * matrix.cols + one.col)];
    one.value += matrix.scales[entry] * static_cast<float>(code - matrix.zero_points[entry]);
    code = matrix.zero_points[entry];
  }
}

Result<MethodOutcome> round_two_level(const MethodInput& input, std::optional<std::string> fallback) {
  PoolOf pool(input);
  QUERNEL_TRY(TwoLevelGrid grid, find_grid(input, input.weight, *pool));
  grid.round_all(input.weight, *pool);
  MethodOutcome outcome = outcome_of(input, std::move(grid).finish(), *pool);
  outcome.fallback = std::move(fallback);
  return outcome;
}

Result<MethodOutcome> fall_back(const MethodInput& input, const PreparedHessian& prepared, std::string reason) {
  QUERNEL_TRY(MethodOutcome outcome, round_two_level(input, std::move(reason)));
  outcome.dead_columns = prepared.dead_columns;
  return outcome;
}

Result<MethodOutcome> solve_two_level(const MethodInput& input, const PreparedHessian& prepared) {
  if (prepared.failure) return fall_back(input, prepared, *prepared.failure);
  PoolOf pool(input);
  const Matrix corrected = wanted_target(input, prepared, *pool);
  const ConstMatrixView target = corrected.empty() ? input.weight : corrected.view();
  QUERNEL_TRY(TwoLevelGrid grid, find_grid(input, target, *pool));
  if (!input.solver.static_groups) grid.find_groups_in_windows(prepared.order);
  if (!solve(target, prepared, grid, *pool)) {
    return fall_back(input, prepared, "compensation left the range of float");
  }
  codec::IntegerMatrix matrix = std::move(grid).finish();
  refine_beside(input, prepared, target, matrix, *pool);
  MethodOutcome outcome = outcome_of(input, std::move(matrix), *pool);
  outcome.damp = prepared.damp;
  outcome.dead_columns = prepared.dead_columns;
  return outcome;
}

}  // namespace

Result<MethodOutcome> run_qoq(const MethodInput& input) {
  QUERNEL_TRY_STATUS(check_input(input));
  QUERNEL_TRY_STATUS(check_specification(input));
  if (input.stats == nullptr) {
    return Error(Fault::invalid_argument, "qoq needs calibration statistics").with_hint("give calibration text");
  }
  return with_hessian(input, solve_two_level);
}

}  // namespace quernel::quant
