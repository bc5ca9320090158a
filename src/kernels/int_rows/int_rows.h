// Rows of floats into INT8 codes for kernels/packed: what enters every linear of the integer runtime.
//
// Layout   x [size], any address; codes [stride], stride a multiple of 64 and at least size, 0 past size; sums [stride / 16]: of 16 codes
// quantize one part   a = max |x|, scale = a / 127, inverse = 127 / a, code = round(x * inverse) clamped to [-127, 127], ties to even: the
//                     values of runtime/simulated.h
// split    two parts  inverse = 32512 / a, v = round(x * inverse) clamped to [-32512, 32512], v = 255 high + low with both in [-127, 127];
//                     scales 255 a / 32512 and a / 32512: the sum of the two products is that of 16-bit activations
// Extremes a = 0, or 1 / a not finite: codes and scale 0. Infinity or NaN in the row: codes 0, scale NaN, so that what is wrong shows
// Exact    all variants agree bit for bit
// Threads  pure functions; a row is computed by one thread
#pragma once

#include <cstdint>

namespace quernel::kernels::int_rows {

constexpr int kMaxCode = 127;
constexpr int kSplitBase = 255;
constexpr int kMaxSplit = kSplitBase * kMaxCode + kMaxCode;  // 32,512

struct Row {
  std::int8_t* codes = nullptr;
  std::int32_t* sums = nullptr;
  float* scale = nullptr;
};

using Quantize = void (*)(const float* x, std::int64_t size, std::int64_t stride, const Row& out) noexcept;
using Split = void (*)(const float* x, std::int64_t size, std::int64_t stride, const Row& high,
                       const Row& low) noexcept;

struct Functions {
  Quantize quantize;
  Split split;
};

}  // namespace quernel::kernels::int_rows
