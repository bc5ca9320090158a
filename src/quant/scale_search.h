// The grid of one group: the scale and zero point that hold its weights best.
//
// Formula  value = scale * (code - zero_point), code 0 .. 2^bits - 1; a trial scale is rounded to scale_dtype before it
// is judged
//          loss of a trial = sum_k weight_k (value_k - nearest grid value)^2
// Trials   scales from that of the whole range (factor 1) down to search_min_factor, at the zero point of the range
// and,
//          where asymmetric, at its neighbours; ties go to the larger scale, then to the range's own zero point
// Edges    all-zero group: scale 1, middle zero point. Scale below the smallest of its type (F16: 2^-24, others
// 2^-126): that
//          one. Scale so large that a weight would overflow float: the largest that does not. Scale above F16's range
//          at every trial: not representable, the caller reports it.
// Threads  a finder belongs to one thread at a time
// Cost     about count * search_steps * (1 + neighbours) * 9 flops
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "quant/spec.h"

namespace quernel::quant {

struct GroupGrid {
  float scale = 1.0F;  // a value of scale_dtype, finite, above 0
  std::int32_t zero_point = 0;
  bool representable = true;  // false: no trial scale fits scale_dtype, or the values are not finite; scale is then 1
};

class GridFinder {
 public:
  explicit GridFinder(const GridSpec& spec);  // spec is valid

  // values and weights [count]; weights are not negative and finite, at least one above 0.
  GroupGrid find(std::span<const float> values, std::span<const float> weights);

 private:
  struct Range {
    float low = 0.0F;   // at most 0
    float high = 0.0F;  // at least 0
  };

  [[nodiscard]] double whole_range_scale(Range range) const;
  [[nodiscard]] std::int32_t range_zero_point(Range range, double scale) const;
  void fill_trial_scales(double whole_scale, float unit, std::int32_t zero_point);
  void try_zero_point(std::span<const float> weights, std::int32_t zero_point, GroupGrid& best, float& best_loss);

  GridSpec spec_;
  std::int32_t max_code_;
  std::int64_t lanes_;              // trial scales, padded
  std::vector<float> factors_;      // [search_steps]
  std::vector<float> scales_;       // [lanes_]; 0 where a trial cannot be represented
  std::vector<float> inverse_;      // [lanes_] unit / scale
  std::vector<float> loss_factor_;  // [lanes_] (scale / unit)^2; infinite where a trial cannot be represented
  std::vector<float> losses_;       // [lanes_]
  std::vector<float> normalized_;   // values / largest magnitude
};

// The nearest value of the type: 0 and infinity where it leaves the type's range.
float round_to_dtype(float value, DType dtype);

// The scale as it is stored, finite times largest_level and above 0; infinity where the type holds none.
float storable_scale(double scale, DType dtype, std::int32_t largest_level);

}  // namespace quernel::quant
