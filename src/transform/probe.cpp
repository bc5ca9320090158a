#include "transform/probe.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/checked.h"
#include "quant/prepared_hessian.h"
#include "quant/scale_search.h"
#include "tensor/linalg.h"

namespace quernel::transform {
namespace {

constexpr std::int64_t kRowsPerTask = 32;
constexpr float kRoundingShift = 12582912.0F;  // 1.5 * 2^23: adding and taking it away rounds small floats to integers

double finite_or_infinity(double value) {
  return std::isfinite(value) && value >= 0.0 ? value : std::numeric_limits<double>::infinity();
}

double dot(std::span<const float> a, std::span<const float> b) {
  double sums[4] = {0.0, 0.0, 0.0, 0.0};
  std::size_t k = 0;
  for (; k + 4 <= a.size(); k += 4)
    for (std::size_t lane = 0; lane < 4; ++lane) sums[lane] += double{a[k + lane]} * double{b[k + lane]};
  for (; k < a.size(); ++k) sums[0] += double{a[k]} * double{b[k]};
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// Rounds rows of one grid; holds what a thread needs for it.
class RowRounder {
 public:
  RowRounder(const quant::GridSpec& grid, std::int64_t cols)
      : grid_(plain(grid)),
        finder_(grid_),
        group_(static_cast<std::size_t>(quant::effective_group_size(grid, cols))),
        ones_(group_, 1.0F) {}

  // In place.
  void round(std::span<float> row) {
    for (std::size_t first = 0; first < row.size(); first += group_) {
      const std::span<float> part = row.subspan(first, std::min(group_, row.size() - first));
      const quant::GroupGrid found = finder_.find(part, std::span<const float>(ones_).first(part.size()));
      const auto low = static_cast<float>(-found.zero_point);
      const auto high = static_cast<float>((1 << grid_.bits) - 1 - found.zero_point);
      const float inverse = 1.0F / found.scale;
      for (float& value : part) {
        const float level = std::min(std::max(value * inverse, low), high);
        value = ((level + kRoundingShift) - kRoundingShift) * found.scale;
      }
    }
  }

 private:
  static quant::GridSpec plain(quant::GridSpec grid) {
    grid.search = quant::ScaleSearch::minmax;
    return grid;
  }
  quant::GridSpec grid_;
  quant::GridFinder finder_;
  std::size_t group_;
  std::vector<float> ones_;
};

void scale_row(std::span<const float> row, std::span<const float> factors, std::span<float> out) {
  for (std::size_t k = 0; k < row.size(); ++k) out[k] = factors.empty() ? row[k] : row[k] * factors[k];
}

// tr(E H E^T) of some rows.
double rows_error(ConstMatrixView weight, std::span<const float> factors, const Matrix& hessian, RowRounder& rounder) {
  Matrix error = Matrix::uninitialized(weight.rows, weight.cols);
  for (std::int64_t row = 0; row < weight.rows; ++row) {
    const std::span<float> out = error.row(row);
    scale_row(weight.row(row), factors, out);
    rounder.round(out);
    for (std::size_t k = 0; k < out.size(); ++k)
      out[k] = (factors.empty() ? out[k] : out[k] / factors[k]) - weight.row(row)[k];
  }
  Matrix product = Matrix::uninitialized(weight.rows, weight.cols);
  gemm_nn(error, hessian, product, 1.0F, 0.0F);
  double sum = 0.0;
  for (std::int64_t row = 0; row < weight.rows; ++row) sum += dot(error.row(row), product.row(row));
  return sum;
}

}  // namespace

double weight_error(std::span<const Matrix> weights, std::span<const float> factors, const Matrix& hessian,
                    const quant::GridSpec& grid, sys::ThreadPool& pool) {
  double total = 0.0;
  for (const Matrix& weight : weights) {
    QUERNEL_CHECK(weight.cols() == hessian.cols() &&
                  (factors.empty() || std::cmp_equal(factors.size(), weight.cols())));
    const std::int64_t tasks = ceil_div(weight.rows(), kRowsPerTask);
    std::vector<double> sums(static_cast<std::size_t>(tasks));
    pool.parallel_for(tasks, [&](std::int64_t task) {
      RowRounder rounder(grid, weight.cols());
      const std::int64_t first = task * kRowsPerTask;
      const ConstMatrixView rows = weight.view().row_block(first, std::min(kRowsPerTask, weight.rows() - first));
      sums[static_cast<std::size_t>(task)] = rows_error(rows, factors, hessian, rounder);
    });
    for (const double sum : sums) total += sum;
  }
  return finite_or_infinity(total);
}

void round_activations(int bits, MatrixView rows) {
  const auto levels = static_cast<float>((1 << (bits - 1)) - 1);
  for (std::int64_t row = 0; row < rows.rows; ++row) {
    float largest = 0.0F;
    for (const float value : rows.row(row)) largest = std::max(largest, std::abs(value));
    const float scale = largest / levels;
    if (!(scale > 0.0F)) continue;
    for (float& value : rows.row(row)) value = ((value / scale + kRoundingShift) - kRoundingShift) * scale;
  }
}

double output_error(std::span<const Matrix> weights, std::span<const float> factors, ConstMatrixView sample,
                    const quant::GridSpec& grid, int activation_bits, sys::ThreadPool& pool) {
  Matrix inputs = Matrix::uninitialized(sample.rows, sample.cols);
  for (std::int64_t row = 0; row < sample.rows; ++row) {
    const std::span<float> out = inputs.row(row);
    for (std::size_t k = 0; k < out.size(); ++k)
      out[k] = factors.empty() ? sample.row(row)[k] : sample.row(row)[k] / factors[k];
  }
  round_activations(activation_bits, inputs);
  double total = 0.0;
  for (const Matrix& weight : weights) {
    Matrix rounded = Matrix::uninitialized(weight.rows(), weight.cols());
    pool.parallel_for(ceil_div(weight.rows(), kRowsPerTask), [&](std::int64_t task) {
      RowRounder rounder(grid, weight.cols());
      const std::int64_t end = std::min((task + 1) * kRowsPerTask, weight.rows());
      for (std::int64_t row = task * kRowsPerTask; row < end; ++row) {
        scale_row(weight.row(row), factors, rounded.row(row));
        rounder.round(rounded.row(row));
      }
    });
    Matrix wanted = Matrix::uninitialized(sample.rows, weight.rows());
    Matrix found = Matrix::uninitialized(sample.rows, weight.rows());
    gemm_nt(sample, weight, wanted, false, pool);
    gemm_nt(inputs, rounded, found, false, pool);
    for (std::int64_t i = 0; i < wanted.size(); ++i) {
      const double gap = double{found.data()[i]} - double{wanted.data()[i]};
      total += gap * gap;
    }
  }
  return finite_or_infinity(total);
}

void round_row(std::span<const float> row, std::span<const float> factors, const quant::GridSpec& grid,
               std::span<float> out) {
  scale_row(row, factors, out);
  RowRounder(grid, static_cast<std::int64_t>(row.size())).round(out);
}

}  // namespace quernel::transform
