#include "runtime/row_math.h"

#include <algorithm>

#include "base/check.h"
#include "base/checked.h"
#include "kernels/rowwise/table.h"

namespace quernel::runtime {
namespace {

using kernels::rowwise::functions;

template <class Function>
void for_each_row(std::int64_t rows, sys::ThreadPool& pool, const Function& function) {
  constexpr std::int64_t kRowsPerTask = 16;  // decoding stays in one task: rows are short against waking a thread
  pool.parallel_for(ceil_div(rows, kRowsPerTask), [&](std::int64_t task) {
    const std::int64_t end = std::min(rows, (task + 1) * kRowsPerTask);
    for (std::int64_t row = task * kRowsPerTask; row < end; ++row) function(row);
  });
}

}  // namespace

void rms_norm_rows(ConstMatrixView x, std::span<const float> gain, double eps, MatrixView out, sys::ThreadPool& pool) {
  const auto size = static_cast<std::int64_t>(gain.size());
  QUERNEL_CHECK(size > 0 && x.cols % size == 0, "norm of {} over rows of {}", size, x.cols);
  for_each_row(x.rows, pool, [&](std::int64_t row) {
    for (std::int64_t first = 0; first < x.cols; first += size) {
      functions().rms_norm(x.row(row).data() + first, gain.data(), static_cast<float>(eps), out.row(row).data() + first,
                           size);
    }
  });
}

void rotate_rows(const RopeTable& rope, bool local, std::int64_t head_dim, std::span<const std::int64_t> positions,
                 MatrixView heads, sys::ThreadPool& pool) {
  for_each_row(heads.rows, pool, [&](std::int64_t row) {
    const RopeTable::Angles angles = rope.at(positions[static_cast<std::size_t>(row)], local);
    float* values = heads.row(row).data();
    for (std::int64_t col = 0; col < heads.cols; col += head_dim) {
      rotate_head(angles, {values + col, static_cast<std::size_t>(head_dim)});
    }
  });
}

void gated_activation(model::Activation activation, MatrixView gate, ConstMatrixView up, sys::ThreadPool& pool) {
  const auto function = activation == model::Activation::silu ? functions().silu_mul : functions().gelu_tanh_mul;
  for_each_row(gate.rows, pool, [&](std::int64_t row) {
    float* values = gate.row(row).data();
    function(values, up.row(row).data(), values, gate.cols);
  });
}

void add_scaled(ConstMatrixView x, double scale, MatrixView sum, sys::ThreadPool& pool) {
  for_each_row(x.rows, pool, [&](std::int64_t row) {
    functions().add_scaled(x.row(row).data(), static_cast<float>(scale), sum.row(row).data(), x.cols);
  });
}

void scale_and_cap(MatrixView values, double scale, double cap, sys::ThreadPool& pool) {
  if (scale == 1.0 && cap == 0.0) return;
  for_each_row(values.rows, pool, [&](std::int64_t row) {
    for (float& value : values.row(row)) value *= static_cast<float>(scale);
    if (cap > 0.0) functions().soft_cap(values.row(row).data(), static_cast<float>(cap), values.cols);
  });
}

}  // namespace quernel::runtime
