// What the solver rounds towards: the weight itself, or the real matrix that makes up for inputs that have drifted.
//
// Formula  Layers before this one are quantized already, so the layer reads x instead of the x_ref of the source. The
//          matrix T that minimises sum |W x_ref - T x|^2 + lambda |T - W|^2 is
//            T = W + M (H + lambda I)^-1,   M = W sum (x_ref - x) x^T   (LayerStats::input_drift)
//                                       or  M = LayerStats::output_drift, which also makes up for the residual stream
//          and rounding W for x_ref in x's place is rounding T under H + lambda I: same solver, same refinement.
//          strength scales M.
// Exact    products in float, the factor in double (prepared_hessian.h); independent of the number of threads
// Cost     3 rows * cols^2 multiply-adds
// Source   Zhang et al., "Qronos", ICLR 2026; Li et al., "GPTAQ", ICML 2025 (a first-order form of the same); WaterSIC
//          (ICML 2026) for the drift of the residual stream
#pragma once

#include "quant/layer_stats.h"
#include "quant/method.h"
#include "quant/prepared_hessian.h"
#include "sys/thread_pool.h"
#include "tensor/matrix.h"

namespace quernel::quant {

// T [rows, cols]; empty where the statistics hold no drift, or where T is not finite. `prepared` holds a factor.
Matrix corrected_target(ConstMatrixView weight, const LayerStats& stats, const PreparedHessian& prepared,
                        double strength, sys::ThreadPool& pool);

// What the job asks for: T, or an empty matrix where that is the weight itself.
Matrix wanted_target(const MethodInput& input, const PreparedHessian& prepared, sys::ThreadPool& pool);

}  // namespace quernel::quant
