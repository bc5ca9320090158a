// Plain C++ by the formulas of int_rows.h.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/int_rows/entries.h"

namespace quernel::kernels::int_rows {
namespace {

// The largest |x|; NaN where an entry is not finite.
float magnitude_of(const float* x, std::int64_t size) {
  float largest = 0.0F;
  for (std::int64_t i = 0; i < size; ++i) {
    if (!std::isfinite(x[i])) return std::numeric_limits<float>::quiet_NaN();
    largest = std::max(largest, std::fabs(x[i]));
  }
  return largest;
}

void clear(std::int64_t stride, const Row& out) {
  for (std::int64_t i = 0; i < stride; ++i) out.codes[i] = 0;
  for (std::int64_t i = 0; i < stride / 16; ++i) out.sums[i] = 0;
  *out.scale = 0.0F;
}

void put(const Row& out, std::int64_t i, float code) {
  out.codes[i] = static_cast<std::int8_t>(code);
  out.sums[i / 16] += static_cast<std::int32_t>(code);
}

float level(float x, float inverse, float most) {
  return std::nearbyint(std::fmin(std::fmax(x * inverse, -most), most));
}

void quantize(const float* x, std::int64_t size, std::int64_t stride, const Row& out) noexcept {
  clear(stride, out);
  const float largest = magnitude_of(x, size);
  const float inverse = kMaxCode / largest;
  if (!std::isfinite(inverse)) {
    if (std::isnan(largest)) *out.scale = largest;
    return;
  }
  *out.scale = largest / kMaxCode;
  for (std::int64_t i = 0; i < size; ++i) put(out, i, level(x[i], inverse, kMaxCode));
}

void split(const float* x, std::int64_t size, std::int64_t stride, const Row& high, const Row& low) noexcept {
  clear(stride, high);
  clear(stride, low);
  const float largest = magnitude_of(x, size);
  const float inverse = kMaxSplit / largest;
  if (!std::isfinite(inverse)) {
    if (std::isnan(largest)) *high.scale = *low.scale = largest;
    return;
  }
  *low.scale = largest / kMaxSplit;
  *high.scale = kSplitBase * *low.scale;
  for (std::int64_t i = 0; i < size; ++i) {
    const float v = level(x[i], inverse, kMaxSplit);
    const float h = std::nearbyint(v / kSplitBase);
    put(high, i, h);
    put(low, i, v - h * kSplitBase);
  }
}

}  // namespace

namespace reference {

Functions functions() noexcept { return {quantize, split}; }

}  // namespace reference
}  // namespace quernel::kernels::int_rows
