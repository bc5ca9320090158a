// Row-wise arithmetic of a block, spread over the pool; every row is computed alone.
#pragma once

#include <cstdint>
#include <span>

#include "model/config.h"
#include "runtime/rope.h"
#include "sys/thread_pool.h"
#include "tensor/matrix.h"

namespace quernel::runtime {

// out row = x / sqrt(mean(x^2) + eps) * gain; out may be x. x may have several groups of gain.size() values a row.
void rms_norm_rows(ConstMatrixView x, std::span<const float> gain, double eps, MatrixView out, sys::ThreadPool& pool);
// Every head of a row turned to the row's position.
void rotate_rows(const RopeTable& rope, bool local, std::int64_t head_dim, std::span<const std::int64_t> positions,
                 MatrixView heads, sys::ThreadPool& pool);
// gate = act(gate) * up
void gated_activation(model::Activation activation, MatrixView gate, ConstMatrixView up, sys::ThreadPool& pool);
// sum += scale * x
void add_scaled(ConstMatrixView x, double scale, MatrixView sum, sys::ThreadPool& pool);
// values = cap * tanh(values * scale / cap), or values * scale where cap is 0
void scale_and_cap(MatrixView values, double scale, double cap, sys::ThreadPool& pool);

}  // namespace quernel::runtime
