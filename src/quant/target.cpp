#include "quant/target.h"

#include <algorithm>
#include <cmath>

#include "tensor/linalg.h"

namespace quernel::quant {
namespace {

// M in the solver's order of columns, times factor.
Matrix pull(ConstMatrixView weight, const LayerStats& stats, std::span<const std::int32_t> order, double factor,
            sys::ThreadPool& pool) {
  const bool from_outputs = !stats.output_drift.empty();
  Matrix product;
  if (!from_outputs) {
    product = Matrix::uninitialized(weight.rows, weight.cols);
    gemm_nn(weight, stats.input_drift, product, 1.0F, 0.0F, pool);
  }
  const Matrix& natural = from_outputs ? stats.output_drift : product;
  QUERNEL_CHECK(natural.rows() == weight.rows && natural.cols() == weight.cols, "drift of [{}, {}] for [{}, {}]",
                natural.rows(), natural.cols(), weight.rows, weight.cols);
  Matrix ordered = Matrix::uninitialized(weight.rows, weight.cols);
  for (std::int64_t row = 0; row < weight.rows; ++row) {
    for (std::int64_t p = 0; p < weight.cols; ++p) {
      ordered(row, p) = static_cast<float>(natural(row, order[static_cast<std::size_t>(p)]) * factor);
    }
  }
  return ordered;
}

}  // namespace

Matrix corrected_target(ConstMatrixView weight, const LayerStats& stats, const PreparedHessian& prepared,
                        double strength, sys::ThreadPool& pool) {
  QUERNEL_CHECK(!prepared.failure, "a target needs a factor");
  if (strength == 0.0 || (stats.input_drift.empty() && stats.output_drift.empty())) return {};
  // (H / mean + damp I)^-1 = U^T U in the solver's order.
  const Matrix ordered = pull(weight, stats, prepared.order, strength / prepared.mean, pool);
  Matrix half = Matrix::uninitialized(weight.rows, weight.cols);
  gemm_nt(ordered, prepared.upper, half, false, pool);
  Matrix change = Matrix::uninitialized(weight.rows, weight.cols);
  gemm_nn(half, prepared.upper, change, 1.0F, 0.0F, pool);
  Matrix target = Matrix::uninitialized(weight.rows, weight.cols);
  for (std::int64_t row = 0; row < weight.rows; ++row) {
    for (std::int64_t p = 0; p < weight.cols; ++p) {
      const std::int64_t column = prepared.order[static_cast<std::size_t>(p)];
      target(row, column) = weight(row, column) + change(row, p);
    }
  }
  const bool finite =
      std::all_of(target.data(), target.data() + target.size(), [](float v) { return std::isfinite(v); });
  return finite ? std::move(target) : Matrix();
}

Matrix wanted_target(const MethodInput& input, const PreparedHessian& prepared, sys::ThreadPool& pool) {
  if (input.solver.target == Target::weight) return {};
  return corrected_target(input.weight, *input.stats, prepared, input.solver.target_strength, pool);
}

}  // namespace quernel::quant
