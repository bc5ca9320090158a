// Functions over one row of floats: norms, gates and probabilities.
//
// Layout   contiguous rows of `size` floats at any address; out may be the very input, otherwise nothing overlaps
// Error    exp within 1.05 ulp; every function's own bound is beside it, u = 2^-24
// Exact    the AVX2 and AVX-512 variants agree bit for bit; the reference computes in double
// Extremes infinities and NaN in a row give NaN or the limit, never undefined behaviour
// Threads  pure functions; a row is computed by one thread
#pragma once

#include <cstdint>

namespace quernel::kernels::rowwise {

// out[i] = x[i] / sqrt(mean(x^2) + epsilon) * weight[i]; weight may be null (all ones).
// Relative error (size / 32 + 8) u.
using RmsNorm = void (*)(const float* x, const float* weight, float epsilon, float* out, std::int64_t size) noexcept;
// out[i] = gate[i] / (1 + exp(-gate[i])) * up[i]. Relative error 8 u.
// gelu_tanh_mul: out[i] = g / 2 * (1 + tanh(sqrt(2/pi) * (g + 0.044715 g^3))) * up[i].
// Relative error 16 u + 8 u |argument of tanh|.
using GateMul = void (*)(const float* gate, const float* up, float* out, std::int64_t size) noexcept;
// y[i] += scale * x[i], one rounding.
using AddScaled = void (*)(const float* x, float scale, float* y, std::int64_t size) noexcept;
// x[i] = cap * tanh(x[i] / cap), cap > 0. Relative error 8 u, plus cap steps of the smallest subnormal number.
using SoftCap = void (*)(float* x, float cap, std::int64_t size) noexcept;
// x[i] = exp(x[i] - max) / sum exp(x - max), size > 0; -infinity gives 0. Relative error (size / 16 + 16) u, plus u per
// unit of max - x[i].
using Softmax = void (*)(float* x, std::int64_t size) noexcept;
// log(sum exp(x[i])), summed in double; size > 0. Absolute error 2^-22.
using LogSumExp = double (*)(const float* x, std::int64_t size) noexcept;

struct Functions {
  RmsNorm rms_norm;
  GateMul silu_mul;
  GateMul gelu_tanh_mul;
  AddScaled add_scaled;
  SoftCap soft_cap;
  Softmax softmax;
  LogSumExp log_sum_exp;
};

}  // namespace quernel::kernels::rowwise
