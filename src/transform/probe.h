// The error that rounding would make with and without a factor: what the searches of SmoothQuant and AWQ compare.
//
// Formula  weights: E = Q(W s) / s - W per row, columns j times s_j; weight_error = sum over consumers of tr(E H E^T)
//          activations: output_error = sum over consumers of || Q(X / s) Q(W s)^T - X W^T ||^2 over sampled rows X
//          Q of weights: the job's grid, each group's whole range (no search); of activations: symmetric, a scale a row
// Exact    sums in double, in an order that the shape alone decides; a figure that is not finite is infinity
// Cost     weight_error 2 rows cols^2 flops a consumer
#pragma once

#include <span>
#include <vector>

#include "quant/spec.h"
#include "runtime/layer_weights.h"
#include "sys/thread_pool.h"
#include "tensor/matrix.h"

namespace quernel::transform {

// factors [cols], finite, above 0; empty: all 1.
double weight_error(std::span<const Matrix> weights, std::span<const float> factors, const Matrix& hessian,
                    const quant::GridSpec& grid, sys::ThreadPool& pool);

double output_error(std::span<const Matrix> weights, std::span<const float> factors, ConstMatrixView sample,
                    const quant::GridSpec& grid, int activation_bits, sys::ThreadPool& pool);

// One row times factors (empty: 1), rounded to the grid, not divided again.
void round_row(std::span<const float> row, std::span<const float> factors, const quant::GridSpec& grid,
               std::span<float> out);

// Each row to 2^bits - 1 levels around 0: scale = max |x| / (2^(bits - 1) - 1).
void round_activations(int bits, MatrixView rows);

}  // namespace quernel::transform
