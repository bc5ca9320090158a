// Round to nearest: each weight to the nearest value of its group's grid.
#include <utility>

#include "quant/integer_grid.h"
#include "quant/methods.h"

namespace quernel::quant {

Result<MethodOutcome> round_to_nearest(const MethodInput& input, std::optional<std::string> fallback) {
  PoolOf pool(input);
  const std::int64_t cols = input.weight.cols;
  IntegerGrid grid(input.weight.rows, cols, input.grid, search_weights(input.stats, input.grid, cols));
  QUERNEL_TRY_STATUS(grid.find_groups(input.weight, *pool));
  grid.round_all(input.weight, *pool);
  MethodOutcome outcome = outcome_of(input, std::move(grid).finish(), *pool);
  outcome.fallback = std::move(fallback);
  return outcome;
}

Result<MethodOutcome> run_rtn(const MethodInput& input) {
  QUERNEL_TRY_STATUS(check_input(input));
  return round_to_nearest(input, std::nullopt);
}

}  // namespace quernel::quant
