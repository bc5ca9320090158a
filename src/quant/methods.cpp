#include "quant/methods.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>
#include <vector>

#include "quant/loss.h"
#include "quant/prepared_hessian.h"
#include "quant/refine.h"

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

Result<MethodOutcome> with_hessian(const MethodInput& input, HessianMethod method) {
  if (input.prepared != nullptr) {
    QUERNEL_CHECK(is_prepared_for(*input.prepared, input.weight.cols, input.grid, input.solver),
                  "a Hessian prepared for another job");
    return method(input, *input.prepared);
  }
  QUERNEL_TRY(const PreparedHessian prepared, prepare_hessian(*input.stats, input.grid, input.solver));
  return method(input, prepared);
}

void refine_solved(const MethodInput& input, const PreparedHessian& prepared, ConstMatrixView target,
                   codec::IntegerMatrix& matrix, sys::ThreadPool& pool) {
  if (input.solver.refine.rounds == 0) return;
  std::vector<float> diagonal;
  for (std::int64_t k = 0; k < matrix.cols; ++k) diagonal.push_back(input.stats->hessian(k, k));
  const std::vector<std::int32_t> order = refine_order(matrix, diagonal);
  const Matrix hessian = damped_hessian(*input.stats, prepared, order);
  refine(target, hessian, order, input.grid, input.solver.refine, matrix, pool);
}

MethodOutcome outcome_of(const MethodInput& input, codec::IntegerMatrix matrix, sys::ThreadPool& pool) {
  const Loss loss = measure_loss(input.weight, matrix, input.stats, pool);
  MethodOutcome outcome;
  outcome.matrix = std::move(matrix);
  outcome.relative_loss = loss.relative_loss;
  outcome.relative_error = loss.relative_error;
  return outcome;
}

}  // namespace quernel::quant
