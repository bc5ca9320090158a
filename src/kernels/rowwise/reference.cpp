// Plain C++ in double: the judge of the other variants, and the one that runs where no other does.
#include <cmath>

#include "kernels/rowwise/entries.h"

namespace quernel::kernels::rowwise::reference {

namespace {

void rms_norm(const float* x, const float* weight, float epsilon, float* out, std::int64_t size) noexcept {
  double squares = 0;
  for (std::int64_t i = 0; i < size; ++i) squares += double{x[i]} * double{x[i]};
  const double scale = 1.0 / std::sqrt(squares / static_cast<double>(size) + double{epsilon});
  for (std::int64_t i = 0; i < size; ++i)
    out[i] = static_cast<float>(x[i] * scale * (weight == nullptr ? 1.0 : double{weight[i]}));
}

void silu_mul(const float* gate, const float* up, float* out, std::int64_t size) noexcept {
  for (std::int64_t i = 0; i < size; ++i) {
    const double g = gate[i];
    out[i] = static_cast<float>(g / (1.0 + std::exp(-g)) * double{up[i]});
  }
}

void gelu_tanh_mul(const float* gate, const float* up, float* out, std::int64_t size) noexcept {
  for (std::int64_t i = 0; i < size; ++i) {
    const double g = gate[i];
    const double argument = std::sqrt(2.0 / 3.14159265358979323846) * (g + 0.044715 * g * g * g);
    // (1 + tanh z) / 2 written as 1 / (1 + e^-2z), which keeps its digits for large negative z.
    out[i] = static_cast<float>(g / (1.0 + std::exp(-2.0 * argument)) * double{up[i]});
  }
}

void add_scaled(const float* x, float scale, float* y, std::int64_t size) noexcept {
  for (std::int64_t i = 0; i < size; ++i) y[i] = static_cast<float>(double{scale} * double{x[i]} + double{y[i]});
}

void soft_cap(float* x, float cap, std::int64_t size) noexcept {
  for (std::int64_t i = 0; i < size; ++i) x[i] = static_cast<float>(cap * std::tanh(double{x[i]} / double{cap}));
}

double row_max(const float* x, std::int64_t size) {
  double top = x[0];
  for (std::int64_t i = 1; i < size; ++i) top = x[i] > top ? double{x[i]} : top;
  return top;
}

void softmax(float* x, std::int64_t size) noexcept {
  const double top = row_max(x, size);
  double sum = 0;
  for (std::int64_t i = 0; i < size; ++i) sum += std::exp(x[i] - top);
  for (std::int64_t i = 0; i < size; ++i) x[i] = static_cast<float>(std::exp(x[i] - top) / sum);
}

double log_sum_exp(const float* x, std::int64_t size) noexcept {
  const double top = row_max(x, size);
  double sum = 0;
  for (std::int64_t i = 0; i < size; ++i) sum += std::exp(x[i] - top);
  return top + std::log(sum);
}

}  // namespace

Functions functions() noexcept {
  return {rms_norm, silu_mul, gelu_tanh_mul, add_scaled, soft_cap, softmax, log_sum_exp};
}

}  // namespace quernel::kernels::rowwise::reference
