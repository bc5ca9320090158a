// The functions of rowwise.h over F32x16. Included by instruction-set files after one simd/f32x16_*.h.
#pragma once

#include "kernels/rowwise/rowwise.h"
#include "simd/math_f32x16.h"

namespace quernel::kernels::rowwise {
namespace {

using simd::broadcast;
using simd::F32x16;
using simd::load;
using simd::load_partial;
using simd::store;
using simd::store_partial;

constexpr std::int64_t kLanes = 16;

// body(chunk) for every sixteen elements; the last may be partial, its empty lanes hold `fill`. The body's result is added
// to nothing: it keeps its own state.
template <class Body>
void for_each_chunk(const float* x, std::int64_t size, float fill, Body body) {
  std::int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) body(load(x + i));
  if (i < size) body(load_partial(x + i, size - i, fill));
}

// out[i] = body(a[i], b[i]).
template <class Body>
void map_chunks(const float* a, const float* b, float* out, std::int64_t size, Body body) {
  std::int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) store(out + i, body(load(a + i), load(b + i)));
  if (i < size)
    store_partial(out + i, size - i, body(load_partial(a + i, size - i, 0.0F), load_partial(b + i, size - i, 0.0F)));
}

void rms_norm(const float* x, const float* weight, float epsilon, float* out, std::int64_t size) noexcept {
  F32x16 squares = broadcast(0.0F);
  for_each_chunk(x, size, 0.0F, [&](F32x16 a) { squares = fma(a, a, squares); });
  const float mean = reduce_add(squares) / static_cast<float>(size);
  const F32x16 scale = broadcast(1.0F / __builtin_sqrtf(mean + epsilon));
  if (weight == nullptr)
    map_chunks(x, x, out, size, [&](F32x16 a, F32x16) { return a * scale; });
  else
    map_chunks(x, weight, out, size, [&](F32x16 a, F32x16 w) { return a * scale * w; });
}

// a / (1 + e^-t)
F32x16 times_sigmoid(F32x16 a, F32x16 t) { return a / (broadcast(1.0F) + simd::exp(broadcast(0.0F) - t)); }

void silu_mul(const float* gate, const float* up, float* out, std::int64_t size) noexcept {
  map_chunks(gate, up, out, size, [](F32x16 g, F32x16 u) { return times_sigmoid(g, g) * u; });
}

// (1 + tanh z) / 2 = 1 / (1 + e^-2z)
void gelu_tanh_mul(const float* gate, const float* up, float* out, std::int64_t size) noexcept {
  const F32x16 linear = broadcast(1.59576912F);   // 2 sqrt(2 / pi)
  const F32x16 cubic = broadcast(0.0713548163F);  // 0.044715 times that
  map_chunks(gate, up, out, size,
             [&](F32x16 g, F32x16 u) { return times_sigmoid(g, g * fma(cubic, g * g, linear)) * u; });
}

void add_scaled(const float* x, float scale, float* y, std::int64_t size) noexcept {
  const F32x16 factor = broadcast(scale);
  map_chunks(x, y, y, size, [&](F32x16 a, F32x16 b) { return fma(factor, a, b); });
}

void soft_cap(float* x, float cap, std::int64_t size) noexcept {
  const F32x16 top = broadcast(cap);
  map_chunks(x, x, x, size, [&](F32x16 a, F32x16) { return top * simd::tanh(a / top); });
}

F32x16 row_max(const float* x, std::int64_t size) {
  F32x16 top = broadcast(-__builtin_inff());
  for_each_chunk(x, size, -__builtin_inff(), [&](F32x16 a) { top = max(top, a); });
  return broadcast(reduce_max(top));
}

void softmax(float* x, std::int64_t size) noexcept {
  const F32x16 top = row_max(x, size);
  F32x16 sum = broadcast(0.0F);
  std::int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    const F32x16 e = simd::exp(load(x + i) - top);
    store(x + i, e);
    sum = sum + e;
  }
  if (i < size) {
    const F32x16 e = simd::exp(load_partial(x + i, size - i, -__builtin_inff()) - top);
    store_partial(x + i, size - i, e);
    sum = sum + keep_range(e, 0, size - i, 0.0F);
  }
  const F32x16 inverse = broadcast(1.0F / reduce_add(sum));
  map_chunks(x, x, x, size, [&](F32x16 a, F32x16) { return a * inverse; });
}

double log_sum_exp(const float* x, std::int64_t size) noexcept {
  const F32x16 top = row_max(x, size);
  simd::F64x16 sum = simd::zero_f64();
  for_each_chunk(x, size, -__builtin_inff(), [&](F32x16 a) { sum = add_widened(sum, simd::exp(a - top)); });
  float highest[kLanes];
  store(highest, top);
  return static_cast<double>(highest[0]) + __builtin_log(reduce_add(sum));
}

constexpr Functions kFunctions = {rms_norm, silu_mul, gelu_tanh_mul, add_scaled, soft_cap, softmax, log_sum_exp};

}  // namespace
}  // namespace quernel::kernels::rowwise
