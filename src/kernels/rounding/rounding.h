// The four inner loops of scale search and error feedback.
//
// Each lane holds its own candidate or its own row and no lane ever meets another, so the results are the same to the
// last bit for every vector width; a product and a sum are rounded separately everywhere.
//
// Layout   arrays of floats without alignment demands; "lanes" counts are multiples of kLaneMultiple (callers pad)
// Formula  round() is to the nearest integer, ties to even; a NaN target becomes the lowest code
// Threads  pure functions
#pragma once

#include <cstdint>

namespace quernel::kernels::rounding {

constexpr std::int64_t kLaneMultiple = 16;  // the widest vector: 16 floats of AVX-512

// Trial scales of one group, one lane each; the zero point is common to them.
struct CandidateLanes {
  const float* inverse_scale;  // [lanes]
  float low;                   // lowest level: -zero_point
  float high;                  // highest level: 2^bits - 1 - zero_point
  float* loss;  // out [lanes]: sum over k of weight_k (t - round(clamp(t)))^2 with t = value_k * inverse_scale
  std::int64_t lanes;
};

struct Functions {
  void (*candidate_losses)(const float* values, const float* weights, std::int64_t count,
                           const CandidateLanes& trial) noexcept;

  // One column of `lanes` rows: value = scale * level with level = clamp(round(target / scale), low, high).
  void (*round_lanes)(const float* target, const float* scale, const float* low, const float* high, std::int64_t lanes,
                      float* value, std::int32_t* level) noexcept;

  // error = (target - value) / divisor.
  void (*scaled_errors)(const float* target, const float* value, float divisor, std::int64_t lanes,
                        float* error) noexcept;

  // block [columns, lanes] -= factor [columns] x error [lanes].
  void (*subtract_outer)(const float* factor, const float* error, std::int64_t columns, std::int64_t lanes,
                         float* block) noexcept;
};

}  // namespace quernel::kernels::rounding
