// The loops of rounding.h for a vector of kLanes floats. Included by each instruction-set file, which sets kLanes first.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/rounding/rounding.h"

namespace quernel::kernels::rounding {
namespace {

using Floats = float __attribute__((vector_size(kLanes * sizeof(float))));
using Ints = std::int32_t __attribute__((vector_size(kLanes * sizeof(std::int32_t))));

// Adding and taking away 1.5 * 2^23 leaves the nearest integer, ties to even, for |x| below 2^22.
constexpr float kRoundingConstant = 12582912.0F;

Floats load(const float* from) {
  Floats value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

void store(float* to, Floats value) { std::memcpy(to, &value, sizeof value); }
Floats splat(float value) { return value - Floats{}; }  // x - 0 is x for every x

// NaN takes the lower bound.
Floats clamp(Floats x, Floats low, Floats high) {
  x = x > low ? x : low;
  return x < high ? x : high;
}

Floats round_to_integer(Floats x) {
  const Floats constant = splat(kRoundingConstant);
  return (x + constant) - constant;
}

Floats squared_rounding_error(Floats value, Floats inverse_scale, Floats low, Floats high) {
  const Floats exact = value * inverse_scale;
  const Floats difference = exact - round_to_integer(clamp(exact, low, high));
  return difference * difference;
}

// kVectors trial vectors side by side: one alone would wait for its own additions.
template <int kVectors>
void losses_of(const float* values, const float* weights, std::int64_t count, const CandidateLanes& trial,
               std::int64_t first) {
  Floats inverse_scale[kVectors];
  Floats sum[kVectors];
  const Floats low = splat(trial.low);
  const Floats high = splat(trial.high);
  for (int v = 0; v < kVectors; ++v) {
    inverse_scale[v] = load(trial.inverse_scale + first + v * kLanes);
    sum[v] = Floats{};
  }
  for (std::int64_t k = 0; k < count; ++k) {
    const Floats value = splat(values[k]);
    const Floats weight = splat(weights[k]);
    for (int v = 0; v < kVectors; ++v) {
      sum[v] += weight * squared_rounding_error(value, inverse_scale[v], low, high);
    }
  }
  for (int v = 0; v < kVectors; ++v) store(trial.loss + first + v * kLanes, sum[v]);
}

void candidate_losses(const float* values, const float* weights, std::int64_t count,
                      const CandidateLanes& trial) noexcept {
  std::int64_t first = 0;
  for (; first + 2 * kLanes <= trial.lanes; first += 2 * kLanes) losses_of<2>(values, weights, count, trial, first);
  for (; first < trial.lanes; first += kLanes) losses_of<1>(values, weights, count, trial, first);
}

void round_lanes(const float* target, const float* scale, const float* low, const float* high, std::int64_t lanes,
                 float* value, std::int32_t* level) noexcept {
  for (std::int64_t i = 0; i < lanes; i += kLanes) {
    const Floats step = load(scale + i);
    const Floats rounded = round_to_integer(clamp(load(target + i) / step, load(low + i), load(high + i)));
    store(value + i, step * rounded);
    const Ints integers = __builtin_convertvector(rounded, Ints);
    std::memcpy(level + i, &integers, sizeof integers);
  }
}

void scaled_errors(const float* target, const float* value, float divisor, std::int64_t lanes, float* error) noexcept {
  for (std::int64_t i = 0; i < lanes; i += kLanes) store(error + i, (load(target + i) - load(value + i)) / divisor);
}

void subtract_outer(const float* factor, const float* error, std::int64_t columns, std::int64_t lanes,
                    float* block) noexcept {
  for (std::int64_t k = 0; k < columns; ++k) {
    const Floats multiplier = splat(factor[k]);
    float* column = block + k * lanes;
    for (std::int64_t i = 0; i < lanes; i += kLanes) store(column + i, load(column + i) - multiplier * load(error + i));
  }
}

constexpr Functions kFunctions = {candidate_losses, round_lanes, scaled_errors, subtract_outer};

}  // namespace
}  // namespace quernel::kernels::rounding
