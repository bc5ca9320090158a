// Round to nearest: each weight to the nearest value of its group's grid.
#include <fmt/format.h>

#include <cmath>

#include "quant/integer_grid.h"
#include "quant/loss.h"
#include "quant/methods.h"

namespace quernel::quant {
namespace {

Status check_finite(ConstMatrixView weight) {
  for (std::int64_t row = 0; row < weight.rows; ++row) {
    float sum = 0.0F;  // NaN as soon as one entry is not finite
    for (const float value : weight.row(row)) sum += value * 0.0F;
    if (sum == 0.0F) continue;
    for (std::int64_t col = 0; col < weight.cols; ++col) {
      if (std::isfinite(weight(row, col))) continue;
      return Error(Fault::invalid_argument, fmt::format("the weight at row {}, column {} is not finite", row, col))
          .expect("a finite number", fmt::format("{}", weight(row, col)));
    }
  }
  return {};
}

}  // namespace

Status check_input(const MethodInput& input) {
  QUERNEL_TRY_STATUS(validate(input.grid));
  QUERNEL_TRY_STATUS(validate(input.solver));
  if (input.weight.rows < 1 || input.weight.cols < 1) {
    return Error(Fault::invalid_argument, "the weight is empty")
        .expect("rows and columns", fmt::format("{} x {}", input.weight.rows, input.weight.cols));
  }
  if (input.stats != nullptr &&
      (input.stats->hessian.rows() != input.weight.cols || input.stats->hessian.cols() != input.weight.cols)) {
    return Error(Fault::invalid_argument, "the Hessian does not fit the weight")
        .expect(fmt::format("{} x {}", input.weight.cols, input.weight.cols),
                fmt::format("{} x {}", input.stats->hessian.rows(), input.stats->hessian.cols()));
  }
  return check_finite(input.weight);
}

MethodOutcome finished(const MethodInput& input, IntegerGrid grid, sys::ThreadPool& pool) {
  MethodOutcome outcome;
  outcome.matrix = std::move(grid).finish();
  const Loss loss = measure_loss(input.weight, outcome.matrix, input.stats, pool);
  outcome.relative_loss = loss.relative_loss;
  outcome.relative_error = loss.relative_error;
  return outcome;
}

Result<MethodOutcome> round_to_nearest(const MethodInput& input, std::optional<std::string> fallback) {
  PoolOf pool(input);
  const std::int64_t cols = input.weight.cols;
  IntegerGrid grid(input.weight.rows, cols, input.grid, search_weights(input.stats, input.grid, cols));
  QUERNEL_TRY_STATUS(grid.find_groups(input.weight, *pool));
  grid.round_all(input.weight, *pool);
  MethodOutcome outcome = finished(input, std::move(grid), *pool);
  outcome.fallback = std::move(fallback);
  return outcome;
}

Result<MethodOutcome> run_rtn(const MethodInput& input) {
  QUERNEL_TRY_STATUS(check_input(input));
  return round_to_nearest(input, std::nullopt);
}

}  // namespace quernel::quant
