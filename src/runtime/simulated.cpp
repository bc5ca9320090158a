#include "runtime/simulated.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "base/check.h"
#include "base/checked.h"
#include "tensor/half.h"

namespace quernel::runtime {
namespace {

constexpr int kFullBits = 16;
constexpr int kOpenPageBits = 8;
constexpr int kFullPageBits = 4;
constexpr std::int64_t kRowsPerTask = 16;
constexpr float kMaxF16 = 65504.0F;

// To the nearest whole number, ties to even: adding 1.5 * 2^23 leaves no bit for a fraction. Exact for |x| <= 2^22; callers
// clamp to far less.
float round_even(float x) {
  constexpr float kMagic = 12582912.0F;
  return (x + kMagic) - kMagic;
}

// A clamp that keeps NaN.
float clamp(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

float to_f16_and_back(float x) { return f16_to_float(float_to_f16(clamp(x, -kMaxF16, kMaxF16))); }

struct Range {
  float low;
  float high;
};

// NaN entries do not take part; they show in their own codes.
Range range_of(std::span<const float> values) {
  Range range{values.front(), values.front()};
  for (const float value : values) {
    range.low = value < range.low ? value : range.low;
    range.high = value > range.high ? value : range.high;
  }
  return range;
}

void simulate_symmetric(float most, std::span<float> group) {
  float largest = 0.0F;
  for (const float value : group) largest = std::fabs(value) > largest ? std::fabs(value) : largest;
  const float scale = largest / most;
  const float inverse = most / largest;
  if (!std::isfinite(inverse)) {
    // NaN * 0 stays NaN.
    for (float& value : group) value *= 0.0F;
    return;
  }
  for (float& value : group) value = scale * round_even(clamp(value * inverse, -most, most));
}

void simulate_asymmetric(float most, std::span<float> group) {
  const Range range = range_of(group);
  const float low = std::min(range.low, 0.0F);
  const float high = std::max(range.high, 0.0F);
  const float scale = (high - low) / most;
  const float inverse = most / (high - low);
  if (!std::isfinite(inverse)) {
    for (float& value : group) value *= 0.0F;
    return;
  }
  const float zero = round_even(-low * inverse);
  for (float& value : group) {
    const float code = clamp(round_even(clamp(value * inverse, -most, most)) + zero, 0.0F, most);
    value = scale * (code - zero);
  }
}

Status check_bits(const char* option, int bits) {
  if (bits == kFullBits || bits == 8 || bits == 4) return ok_status();
  return Error(Fault::unsupported, "bits that cannot be simulated")
      .in_field(option)
      .expect("16, 8 or 4", fmt::format("{}", bits));
}

}  // namespace

std::string to_string(const SimulatedBits& bits) {
  std::string text;
  if (bits.activation_bits != kFullBits) {
    text = fmt::format("a{}", bits.activation_bits);
    if (bits.activation_group != -1) text += fmt::format(" g{}", bits.activation_group);
    if (bits.activation_asymmetric) text += " asym";
  }
  if (bits.kv_bits != kFullBits) text += fmt::format("{}kv{}", text.empty() ? "" : " ", bits.kv_bits);
  return text.empty() ? "none" : text;
}

Status validate(const SimulatedBits& bits) {
  QUERNEL_TRY_STATUS(check_bits("--act-bits", bits.activation_bits));
  QUERNEL_TRY_STATUS(check_bits("--kv-bits", bits.kv_bits));
  if (bits.activation_group != -1 && bits.activation_group < 1)
    return Error(Fault::unsupported, "a group of activations must have a size")
        .in_field("--act-group")
        .expect("1 or more, -1 for the whole token", fmt::format("{}", bits.activation_group));
  return ok_status();
}

void simulate_group(int bits, bool asymmetric, std::span<float> group) {
  if (group.empty()) return;
  if (asymmetric) {
    simulate_asymmetric(static_cast<float>((1 << bits) - 1), group);
  } else {
    simulate_symmetric(static_cast<float>((1 << (bits - 1)) - 1), group);
  }
}

void simulate_head(int bits, std::span<float> head) {
  const auto most = static_cast<float>((1 << bits) - 1);
  const Range range = range_of(head);
  if (!std::isfinite(range.high - range.low)) return;  // nothing that a cache could hold: left to be seen
  const float scale = to_f16_and_back((range.high - range.low) / most);
  const float offset = to_f16_and_back(range.low);
  const float inverse = scale > 0.0F ? 1.0F / scale : 0.0F;
  for (float& value : head) {
    value = scale * round_even(clamp((value - offset) * inverse, 0.0F, most)) + offset;
  }
}

void simulate_activations(const SimulatedBits& bits, MatrixView rows, sys::ThreadPool& pool) {
  if (bits.activation_bits == kFullBits) return;
  const std::int64_t size = bits.activation_group == -1 ? rows.cols : bits.activation_group;
  pool.parallel_for(ceil_div(rows.rows, kRowsPerTask), [&](std::int64_t task) {
    const std::int64_t end = std::min((task + 1) * kRowsPerTask, rows.rows);
    for (std::int64_t row = task * kRowsPerTask; row < end; ++row) {
      for (std::int64_t first = 0; first < rows.cols; first += size) {
        const auto count = static_cast<std::size_t>(std::min(size, rows.cols - first));
        simulate_group(bits.activation_bits, bits.activation_asymmetric,
                       rows.row(row).subspan(static_cast<std::size_t>(first), count));
      }
    }
  });
}

void simulate_kv(const SimulatedBits& bits, std::int64_t head_dim, MatrixView rows, sys::ThreadPool& pool) {
  if (bits.kv_bits == kFullBits) return;
  QUERNEL_CHECK(rows.cols % head_dim == 0, "heads of {} in rows of {}", head_dim, rows.cols);
  pool.parallel_for(ceil_div(rows.rows, kRowsPerTask), [&](std::int64_t task) {
    const std::int64_t end = std::min((task + 1) * kRowsPerTask, rows.rows);
    for (std::int64_t row = task * kRowsPerTask; row < end; ++row) {
      for (std::int64_t first = 0; first < rows.cols; first += head_dim) {
        simulate_head(kOpenPageBits,
                      rows.row(row).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(head_dim)));
      }
    }
  });
}

void simulate_full_page(MatrixView keys, MatrixView values) {
  QUERNEL_CHECK(keys.rows == kPageTokens && values.rows == kPageTokens, "a page of {} keys", keys.rows);
  std::vector<float> center(static_cast<std::size_t>(keys.cols), 0.0F);
  for (std::int64_t row = 0; row < kPageTokens; ++row)
    std::transform(center.begin(), center.end(), keys.row(row).begin(), center.begin(), std::plus<>());
  for (float& value : center) value = to_f16_and_back(value / static_cast<float>(kPageTokens));
  for (std::int64_t row = 0; row < kPageTokens; ++row) {
    const std::span<float> key = keys.row(row);
    std::transform(key.begin(), key.end(), center.begin(), key.begin(), std::minus<>());
    simulate_head(kFullPageBits, key);
    std::transform(key.begin(), key.end(), center.begin(), key.begin(), std::plus<>());
    simulate_head(kFullPageBits, values.row(row));
  }
}

}  // namespace quernel::runtime
