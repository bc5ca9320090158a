// How far a quantized matrix is from its source, as the layer's inputs see it.
//
// Formula  E = weight - dequantized; relative_loss = tr(E H E^T) / tr(W H W^T), relative_error = ||E||_F / ||W||_F
//          Without statistics, or where H gives no finite figure, relative_loss = ||E||^2 / ||W||^2. All-zero weight: 0.
// Exact    products in float, sums in double, in an order that the shape alone decides; W and H are brought near 1 by
// powers
//          of two first, so that neither 1e38 nor 1e-38 overflows or vanishes
// Cost     2 rows * cols^2 flops: H's symmetry saves half
#pragma once

#include "codec/integer_matrix.h"
#include "quant/layer_stats.h"
#include "sys/thread_pool.h"
#include "tensor/matrix.h"

namespace quernel::quant {

struct Loss {
  double relative_loss = 0.0;
  double relative_error = 0.0;
};

Loss measure_loss(ConstMatrixView weight, const codec::IntegerMatrix& matrix, const LayerStats* stats,
                  sys::ThreadPool& pool);

}  // namespace quernel::quant
