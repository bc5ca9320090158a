// QoQ: error feedback on the two-level grid of the integer runtime; plain rounding on it where there are no statistics.
#include <fmt/format.h>

#include <utility>

#include "quant/integer_grid.h"
#include "quant/methods.h"
#include "quant/prepared_hessian.h"
#include "quant/solver.h"
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

Result<MethodOutcome> round_two_level(const MethodInput& input, std::optional<std::string> fallback) {
  PoolOf pool(input);
  const std::int64_t cols = input.weight.cols;
  TwoLevelGrid grid(input.weight.rows, cols, input.grid, search_weights(input.stats, input.grid, cols));
  QUERNEL_TRY_STATUS(grid.find(input.weight, *pool));
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
  const std::int64_t cols = input.weight.cols;
  const Matrix corrected = wanted_target(input, prepared, *pool);
  const ConstMatrixView target = corrected.empty() ? input.weight : corrected.view();
  TwoLevelGrid grid(input.weight.rows, cols, input.grid, search_weights(input.stats, input.grid, cols));
  QUERNEL_TRY_STATUS(grid.find(target, *pool));
  if (!input.solver.static_groups) grid.find_groups_in_windows(prepared.order);
  if (!solve(target, prepared, grid, *pool)) {
    return fall_back(input, prepared, "compensation left the range of float");
  }
  codec::IntegerMatrix matrix = std::move(grid).finish();
  refine_solved(input, prepared, target, matrix, *pool);
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
