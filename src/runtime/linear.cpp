#include "runtime/linear.h"

#include <algorithm>

#include "base/check.h"
#include "tensor/half.h"
#include "tensor/linalg.h"

namespace quernel::runtime {
namespace {

// bf16 weights that multiply in fp32 are widened a panel of outputs at a time.
constexpr std::int64_t kPanelFloats = std::int64_t{1} << 21;  // 8 MiB: stays in a shared cache between write and use

void multiply_f32(ConstMatrixView weight, ConstMatrixView x, MatrixView out, sys::ThreadPool& pool) {
  gemm_nt(x, weight, out, false, pool);
}

void multiply_widened(BasicView<const std::uint16_t> weight, ConstMatrixView x, MatrixView out, sys::ThreadPool& pool) {
  constexpr std::int64_t kRowsPerTask = 64;
  const std::int64_t panel_rows = std::clamp<std::int64_t>(kPanelFloats / weight.cols, 1, weight.rows);
  Matrix panel = Matrix::uninitialized(panel_rows, weight.cols);
  for (std::int64_t first = 0; first < weight.rows; first += panel_rows) {
    const std::int64_t rows = std::min(panel_rows, weight.rows - first);
    pool.parallel_for((rows + kRowsPerTask - 1) / kRowsPerTask, [&](std::int64_t task) {
      for (std::int64_t row = task * kRowsPerTask; row < std::min(rows, (task + 1) * kRowsPerTask); ++row) {
        bf16_to_float(weight.row(first + row), panel.row(row));
      }
    });
    const MatrixView out_panel{out.data + first, out.rows, rows, out.stride};
    multiply_f32(panel.view().row_block(0, rows), x, out_panel, pool);
  }
}

void add_bias(const std::vector<float>& bias, MatrixView out) {
  for (std::int64_t row = 0; row < out.rows; ++row) {
    float* values = out.row(row).data();
    for (std::size_t i = 0; i < bias.size(); ++i) values[i] += bias[i];
  }
}

}  // namespace

void apply_linear(const LinearWeight& weight, ConstMatrixView x, MatrixView out, Precision precision,
                  sys::ThreadPool& pool) {
  QUERNEL_CHECK(x.cols == weight.cols && out.cols == weight.rows && out.rows == x.rows,
                "linear [{}, {}] of [{}, {}] into [{}, {}]", weight.rows, weight.cols, x.rows, x.cols, out.rows,
                out.cols);
  if (x.rows == 0) return;
  static_cast<void>(precision);
  if (weight.f32.data != nullptr) {
    multiply_f32(weight.f32, x, out, pool);
  } else {
    multiply_widened(weight.bf16, x, out, pool);
  }
  if (!weight.bias.empty()) add_bias(weight.bias, out);
}

}  // namespace quernel::runtime
