// GPTQ: the error-feedback solver on a grid of integers.
#include <utility>

#include "quant/integer_grid.h"
#include "quant/methods.h"
#include "quant/prepared_hessian.h"
#include "quant/solver.h"
#include "quant/target.h"

namespace quernel::quant {
namespace {

Result<MethodOutcome> fall_back(const MethodInput& input, const PreparedHessian& prepared, std::string reason) {
  QUERNEL_TRY(MethodOutcome outcome, round_to_nearest(input, std::move(reason)));
  outcome.dead_columns = prepared.dead_columns;
  return outcome;
}

Result<MethodOutcome> solve_prepared(const MethodInput& input, const PreparedHessian& prepared) {
  if (prepared.failure) return fall_back(input, prepared, *prepared.failure);
  PoolOf pool(input);
  const std::int64_t cols = input.weight.cols;
  const Matrix corrected = wanted_target(input, prepared, *pool);
  const ConstMatrixView target = corrected.empty() ? input.weight : corrected.view();
  IntegerGrid grid(input.weight.rows, cols, input.grid, search_weights(input.stats, input.grid, cols));
  if (input.solver.static_groups) {
    QUERNEL_TRY_STATUS(grid.find_groups(target, *pool));
  } else {
    grid.find_groups_in_windows(prepared.order);
  }
  const bool finite = solve(target, prepared, grid, *pool);
  if (!finite) return fall_back(input, prepared, "compensation left the range of float");
  if (!grid.windows_representable()) {
    return fall_back(input, prepared, "the scale of a compensated group does not fit its type");
  }
  codec::IntegerMatrix matrix = std::move(grid).finish();
  refine_solved(input, prepared, target, matrix, *pool);
  MethodOutcome outcome = outcome_of(input, std::move(matrix), *pool);
  outcome.damp = prepared.damp;
  outcome.dead_columns = prepared.dead_columns;
  return outcome;
}

}  // namespace

Result<MethodOutcome> run_gptq(const MethodInput& input) {
  QUERNEL_TRY_STATUS(check_input(input));
  if (input.stats == nullptr) {
    return Error(Fault::invalid_argument, "gptq needs calibration statistics")
        .with_hint("give calibration text, or use rtn, which needs none");
  }
  return with_hessian(input, solve_prepared);
}

}  // namespace quernel::quant
