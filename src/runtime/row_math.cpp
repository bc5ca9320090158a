#include "runtime/row_math.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace quernel::runtime {
namespace {

template <class Function>
void for_each_row(std::int64_t rows, sys::ThreadPool& pool, const Function& function) {
  constexpr std::int64_t kRowsPerTask = 16;
  pool.parallel_for((rows + kRowsPerTask - 1) / kRowsPerTask, [&](std::int64_t task) {
    const std::int64_t end = std::min(rows, (task + 1) * kRowsPerTask);
    for (std::int64_t row = task * kRowsPerTask; row < end; ++row) function(row);
  });
}

float activate(model::Activation activation, float x) {
  if (activation == model::Activation::silu) return x / (1.0F + std::exp(-x));
  constexpr float kSqrt2OverPi = 0.7978845608028654F;
  return 0.5F * x * (1.0F + std::tanh(kSqrt2OverPi * (x + 0.044715F * x * x * x)));
}

}  // namespace

void rms_norm_rows(ConstMatrixView x, std::span<const float> gain, double eps, MatrixView out, sys::ThreadPool& pool) {
  const auto size = static_cast<std::int64_t>(gain.size());
  QUERNEL_CHECK(size > 0 && x.cols % size == 0, "norm of {} over rows of {}", size, x.cols);
  for_each_row(x.rows, pool, [&](std::int64_t row) {
    for (std::int64_t first = 0; first < x.cols; first += size) {
      const float* from = x.row(row).data() + first;
      float* to = out.row(row).data() + first;
      double sum = 0.0;
      for (std::int64_t i = 0; i < size; ++i) sum += static_cast<double>(from[i]) * from[i];
      const auto inverse = static_cast<float>(1.0 / std::sqrt(sum / static_cast<double>(size) + eps));
      for (std::int64_t i = 0; i < size; ++i) to[i] = from[i] * inverse * gain[static_cast<std::size_t>(i)];
    }
  });
}

void gated_activation(model::Activation activation, MatrixView gate, ConstMatrixView up, sys::ThreadPool& pool) {
  for_each_row(gate.rows, pool, [&](std::int64_t row) {
    float* a = gate.row(row).data();
    const float* b = up.row(row).data();
    for (std::int64_t i = 0; i < gate.cols; ++i) a[i] = activate(activation, a[i]) * b[i];
  });
}

void add_scaled(ConstMatrixView x, double scale, MatrixView sum, sys::ThreadPool& pool) {
  for_each_row(x.rows, pool, [&](std::int64_t row) {
    const float* from = x.row(row).data();
    float* to = sum.row(row).data();
    for (std::int64_t i = 0; i < x.cols; ++i) to[i] += static_cast<float>(scale) * from[i];
  });
}

void scale_and_cap(MatrixView values, double scale, double cap, sys::ThreadPool& pool) {
  if (scale == 1.0 && cap == 0.0) return;
  for_each_row(values.rows, pool, [&](std::int64_t row) {
    for (float& value : values.row(row)) {
      value *= static_cast<float>(scale);
      if (cap > 0.0) value = static_cast<float>(cap) * std::tanh(value / static_cast<float>(cap));
    }
  });
}

}  // namespace quernel::runtime
