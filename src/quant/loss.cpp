#include "quant/loss.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "base/checked.h"
#include "tensor/linalg.h"

namespace quernel::quant {
namespace {

constexpr std::int64_t kLossRows = 48;      // of a task; errors and weights are stacked to twice that many rows
constexpr std::int64_t kLossColumns = 256;  // of a GEMM

// Sums of one task: [0] errors, [1] weights.
struct Sums {
  double traces[2] = {0.0, 0.0};
  double squares[2] = {0.0, 0.0};
};

// A power of two that brings values of this size near 1.
double unit_factor(double largest) {
  return largest > 0.0 && std::isfinite(largest) ? std::ldexp(1.0, -std::ilogb(largest)) : 1.0;
}

float largest_magnitude(ConstMatrixView matrix) {
  float largest = 0.0F;
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    for (const float value : matrix.row(row)) largest = std::max(largest, std::abs(value));
  }
  return largest;
}

// H itself where its size is ordinary, else a copy near 1. The factor cancels in the ratio.
ConstMatrixView ordinary_hessian(const Matrix& hessian, Matrix& storage) {
  float largest = 0.0F;
  for (std::int64_t k = 0; k < hessian.cols(); ++k) largest = std::max(largest, std::abs(hessian(k, k)));
  if (largest == 0.0F || (largest > 1e-12F && largest < 1e12F)) return hessian.view();
  const double factor = unit_factor(largest);
  storage = Matrix::uninitialized(hessian.rows(), hessian.cols());
  std::transform(hessian.data(), hessian.data() + hessian.size(), storage.data(),
                 [factor](float value) { return static_cast<float>(value * factor); });
  return storage.view();
}

// stacked [2 * count, cols]: rows of errors, then rows of weights, both times factor.
void stack_rows(ConstMatrixView weight, const codec::IntegerMatrix& matrix, std::int64_t first, std::int64_t count,
                double factor, MatrixView stacked) {
  const std::int64_t groups = matrix.num_groups();
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t row = first + i;
    const float* source = weight.row(row).data();
    const std::uint8_t* code = matrix.codes.data() + row * matrix.cols;
    const float* scale = matrix.scales.data() + row * groups;
    const std::uint8_t* zero_point = matrix.zero_points.data() + row * groups;
    float* error = stacked.row(i).data();
    float* scaled = stacked.row(count + i).data();
    for (std::int64_t k = 0; k < matrix.cols; ++k) {
      const std::int32_t group = matrix.group_of_column[static_cast<std::size_t>(k)];
      const double value = static_cast<double>(scale[group]) * (code[k] - zero_point[group]);
      error[k] = static_cast<float>((source[k] - value) * factor);
      scaled[k] = static_cast<float>(source[k] * factor);
    }
    for (const codec::Outlier& one : matrix.outliers) {
      if (one.row == row) error[one.col] = static_cast<float>((double{source[one.col]} - one.value) * factor);
    }
  }
}

double dot(const float* a, const float* b, std::int64_t count) {
  double sums[4] = {0.0, 0.0, 0.0, 0.0};
  std::int64_t k = 0;
  for (; k + 4 <= count; k += 4) {
    for (int lane = 0; lane < 4; ++lane) sums[lane] += static_cast<double>(a[k + lane]) * b[k + lane];
  }
  for (; k < count; ++k) sums[0] += static_cast<double>(a[k]) * b[k];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// x H x^T, row by row, taking H's upper blocks twice instead of both of its triangles.
void add_traces(ConstMatrixView stacked, ConstMatrixView hessian, MatrixView product, Sums& sums) {
  const std::int64_t half = stacked.rows / 2;
  for (std::int64_t first = 0; first < stacked.cols; first += kLossColumns) {
    const std::int64_t width = std::min(kLossColumns, stacked.cols - first);
    const MatrixView out = product.block(0, stacked.rows, 0, width);
    gemm_nn(stacked.block(0, stacked.rows, first, width), hessian.block(first, width, first, width), out, 1.0F, 0.0F);
    if (first > 0) {
      gemm_nn(stacked.block(0, stacked.rows, 0, first), hessian.block(0, first, first, width), out, 2.0F, 1.0F);
    }
    for (std::int64_t row = 0; row < stacked.rows; ++row) {
      sums.traces[row < half ? 0 : 1] += dot(out.row(row).data(), stacked.row(row).data() + first, width);
    }
  }
}

Sums sum_task(ConstMatrixView weight, const codec::IntegerMatrix& matrix, const ConstMatrixView* hessian, double factor,
              std::int64_t first, std::int64_t count) {
  Sums sums;
  Matrix stacked = Matrix::uninitialized(2 * count, weight.cols);
  stack_rows(weight, matrix, first, count, factor, stacked);
  for (std::int64_t row = 0; row < 2 * count; ++row) {
    const float* values = stacked.row(row).data();
    sums.squares[row < count ? 0 : 1] += dot(values, values, weight.cols);
  }
  if (hessian != nullptr) {
    Matrix product = Matrix::uninitialized(2 * count, std::min(kLossColumns, weight.cols));
    add_traces(stacked, *hessian, product, sums);
  }
  return sums;
}

}  // namespace

Loss measure_loss(ConstMatrixView weight, const codec::IntegerMatrix& matrix, const LayerStats* stats,
                  sys::ThreadPool& pool) {
  QUERNEL_CHECK(weight.rows == matrix.rows && weight.cols == matrix.cols, "loss of {} x {} against {} x {}",
                matrix.rows, matrix.cols, weight.rows, weight.cols);
  Matrix storage;
  ConstMatrixView hessian;
  const bool has_hessian = stats != nullptr && stats->hessian.cols() == weight.cols && weight.cols > 0;
  if (has_hessian) hessian = ordinary_hessian(stats->hessian, storage);
  const double factor = unit_factor(largest_magnitude(weight));

  const std::int64_t tasks = ceil_div(weight.rows, kLossRows);
  std::vector<Sums> partial(static_cast<std::size_t>(tasks));
  pool.parallel_for(tasks, [&](std::int64_t task) {
    const std::int64_t first = task * kLossRows;
    partial[static_cast<std::size_t>(task)] = sum_task(weight, matrix, has_hessian ? &hessian : nullptr, factor, first,
                                                       std::min(kLossRows, weight.rows - first));
  });
  Sums total;
  for (const Sums& sums : partial) {
    for (int i = 0; i < 2; ++i) {
      total.traces[i] += sums.traces[i];
      total.squares[i] += sums.squares[i];
    }
  }
  Loss loss;
  if (total.squares[1] == 0.0) return loss;
  const double squared_error = total.squares[0] / total.squares[1];
  loss.relative_error = std::sqrt(squared_error);
  const double with_hessian = total.traces[0] / total.traces[1];
  loss.relative_loss = has_hessian && std::isfinite(with_hessian) ? std::max(with_hessian, 0.0) : squared_error;
  return loss;
}

}  // namespace quernel::quant
