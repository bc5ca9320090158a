// GPTQ: the error-feedback solver on a grid of integers.
#include <cmath>

#include "quant/integer_grid.h"
#include "quant/loss.h"
#include "quant/methods.h"
#include "quant/prepared_hessian.h"
#include "quant/solver.h"

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
  IntegerGrid grid(input.weight.rows, cols, input.grid, search_weights(input.stats, input.grid, cols));
  if (input.solver.static_groups) {
    QUERNEL_TRY_STATUS(grid.find_groups(input.weight, *pool));
  } else {
    grid.find_groups_in_windows(prepared.order);
  }
  const bool finite = solve(input.weight, prepared, grid, *pool);
  if (!finite) return fall_back(input, prepared, "compensation left the range of float");
  if (!grid.windows_representable()) {
    return fall_back(input, prepared, "the scale of a compensated group does not fit its type");
  }
  MethodOutcome outcome = finished(input, std::move(grid), *pool);
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
  if (input.prepared != nullptr) {
    QUERNEL_CHECK(is_prepared_for(*input.prepared, input.weight.cols, input.grid, input.solver),
                  "a Hessian prepared for another job");
    return solve_prepared(input, *input.prepared);
  }
  QUERNEL_TRY(const PreparedHessian prepared, prepare_hessian(*input.stats, input.grid, input.solver));
  return solve_prepared(input, prepared);
}

}  // namespace quernel::quant
