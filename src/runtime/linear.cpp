#include "runtime/linear.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "base/checked.h"
#include "kernels/gemm_bf16/products.h"
#include "kernels/gemv/table.h"
#include "kernels/rowwise/table.h"
#include "tensor/half.h"
#include "tensor/linalg.h"

namespace quernel::runtime {
namespace {

namespace gemv = kernels::gemv;
static_assert(kFewRows <= gemv::kMaxVectors);

// bf16 weights that multiply in fp32 are widened a panel of outputs at a time.
constexpr std::int64_t kPanelFloats = std::int64_t{1} << 21;  // 8 MiB: stays in a shared cache between write and use

void multiply_widened(BasicView<const std::uint16_t> weight, ConstMatrixView x, MatrixView out, sys::ThreadPool& pool) {
  constexpr std::int64_t kRowsPerTask = 64;
  const std::int64_t panel_rows = std::clamp<std::int64_t>(kPanelFloats / weight.cols, 1, weight.rows);
  Matrix panel = Matrix::uninitialized(panel_rows, weight.cols);
  for (std::int64_t first = 0; first < weight.rows; first += panel_rows) {
    const std::int64_t rows = std::min(panel_rows, weight.rows - first);
    pool.parallel_for(ceil_div(rows, kRowsPerTask), [&](std::int64_t task) {
      for (std::int64_t row = task * kRowsPerTask; row < std::min(rows, (task + 1) * kRowsPerTask); ++row) {
        bf16_to_float(weight.row(first + row), panel.row(row));
      }
    });
    gemm_nt(x, panel.view().row_block(0, rows), out.block(0, out.rows, first, rows), false, pool);
  }
}

void add_bias(const std::vector<float>& bias, MatrixView out, sys::ThreadPool& pool) {
  constexpr std::int64_t kRowsPerTask = 64;
  pool.parallel_for(ceil_div(out.rows, kRowsPerTask), [&](std::int64_t task) {
    for (std::int64_t row = task * kRowsPerTask; row < std::min(out.rows, (task + 1) * kRowsPerTask); ++row) {
      kernels::rowwise::functions().add_scaled(bias.data(), 1.0F, out.row(row).data(), out.cols);
    }
  });
}

void multiply_many(const LinearWeight& weight, ConstMatrixView x, MatrixView out, Precision precision,
                   sys::ThreadPool& pool) {
  if (precision == Precision::bf16 && weight.f32.data != nullptr) {
    kernels::gemm_bf16::gemm_nt(x, weight.f32, out, false, pool);
  } else if (precision == Precision::bf16) {
    kernels::gemm_bf16::gemm_nt(x, weight.bf16, out, false, pool);
  } else if (weight.f32.data != nullptr) {
    gemm_nt(x, weight.f32, out, false, pool);
  } else {
    multiply_widened(weight.bf16, x, out, pool);
  }
  if (!weight.bias.empty()) add_bias(weight.bias, out, pool);
}

template <class Weight>
void multiply_rows(void (*run)(const gemv::Args<Weight>&) noexcept, BasicView<const Weight> weight, std::int64_t first,
                   std::int64_t num_rows, ConstMatrixView x, MatrixView out) {
  run({.weight = weight.data + first * weight.stride,
       .weight_stride = weight.stride,
       .num_rows = num_rows,
       .num_cols = weight.cols,
       .x = x.data,
       .x_stride = x.stride,
       .num_vectors = x.rows,
       .out = out.data + first,
       .out_stride = out.stride});
}

// Some outputs of one layer, for few rows of x.
struct FewRowsTask {
  const LinearCall* call;
  std::int64_t first;
  std::int64_t num_rows;
};

void run_few_rows(const FewRowsTask& task, ConstMatrixView x) {
  const LinearWeight& weight = *task.call->weight;
  const gemv::Variant& kernel = gemv::pick();
  if (weight.f32.data != nullptr) {
    multiply_rows(kernel.f32, weight.f32, task.first, task.num_rows, x, task.call->out);
  } else {
    multiply_rows(kernel.bf16, weight.bf16, task.first, task.num_rows, x, task.call->out);
  }
  if (weight.bias.empty()) return;
  for (std::int64_t row = 0; row < x.rows; ++row) {
    kernels::rowwise::functions().add_scaled(weight.bias.data() + task.first, 1.0F,
                                             task.call->out.row(row).data() + task.first, task.num_rows);
  }
}

void multiply_few(std::span<const LinearCall> calls, ConstMatrixView x, sys::ThreadPool& pool) {
  constexpr std::int64_t kBytesPerTask = 128
                                         << 10;  // some 8 us of reading: long against taking a task, short at the end
  std::vector<FewRowsTask> tasks;
  for (const LinearCall& call : calls) {
    const std::int64_t row_bytes = call.weight->cols * (call.weight->f32.data != nullptr ? 4 : 2);
    const std::int64_t step = std::max<std::int64_t>(ceil_div(kBytesPerTask, row_bytes), 1);
    for (std::int64_t first = 0; first < call.weight->rows; first += step) {
      tasks.push_back({&call, first, std::min(step, call.weight->rows - first)});
    }
  }
  pool.parallel_for(static_cast<std::int64_t>(tasks.size()),
                    [&](std::int64_t index) { run_few_rows(tasks[static_cast<std::size_t>(index)], x); });
}

}  // namespace

void apply_linears(std::span<const LinearCall> calls, ConstMatrixView x, Precision precision, sys::ThreadPool& pool) {
  for (const LinearCall& call : calls) {
    QUERNEL_CHECK(x.cols == call.weight->cols && call.out.cols == call.weight->rows && call.out.rows == x.rows,
                  "linear [{}, {}] of [{}, {}] into [{}, {}]", call.weight->rows, call.weight->cols, x.rows, x.cols,
                  call.out.rows, call.out.cols);
  }
  if (x.rows == 0) return;
  if (x.rows <= kFewRows) {
    multiply_few(calls, x, pool);
    return;
  }
  for (const LinearCall& call : calls) multiply_many(*call.weight, x, call.out, effective(precision), pool);
}

void apply_linear(const LinearWeight& weight, ConstMatrixView x, MatrixView out, Precision precision,
                  sys::ThreadPool& pool) {
  const LinearCall call{&weight, out};
  apply_linears({&call, 1}, x, precision, pool);
}

}  // namespace quernel::runtime
