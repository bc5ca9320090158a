#include "quant/scale_search.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "kernels/rounding/table.h"
#include "tensor/half.h"

namespace quernel::quant {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kSmallestNormalF16 = 0x1p-14F;
constexpr float kLargestF16 = 65504.0F;

// Rounds a float in the normal range of F16 to its 11 significant bits, ties to even.
float round_to_f16_in_range(float value) {
  auto bits = std::bit_cast<std::uint32_t>(value);
  bits += 0x0FFFU + ((bits >> 13U) & 1U);
  return std::bit_cast<float>(bits & ~0x1FFFU);
}

float smallest_scale(DType dtype) { return dtype == DType::f16 ? 0x1p-24F : 0x1p-126F; }

struct FactorRange {
  double most = 1.0;  // at this share of the whole range's scale nothing is clipped any more
  double least = 0.5;
};

FactorRange factor_range(const GridSpec& spec) {
  const double max_code = (1 << spec.bits) - 1;
  const double middle = 1 << (spec.bits - 1);
  switch (spec.symmetry) {
    // Rounding the zero point moves the range by up to half a step.
    case Symmetry::asymmetric: return {max_code / (max_code - 0.5), spec.search_min_factor};
    // The positive side ends half a step short of the range.
    case Symmetry::symmetric: return {max_code / (2 * (middle - 1)), spec.search_min_factor};
    // The whole range is that of the positive side; the negative one has a level more.
    case Symmetry::full_range_symmetric: return {1.0, spec.search_min_factor * (middle - 1) / middle};
  }
  return {};
}

}  // namespace

float round_to_dtype(float value, DType dtype) {
  if (dtype == DType::f32) return value;
  if (dtype == DType::bf16) return bf16_to_float(float_to_bf16(value));
  if (value >= kSmallestNormalF16 && value <= kLargestF16) return round_to_f16_in_range(value);
  return f16_to_float(float_to_f16(value));
}

float storable_scale(double scale, DType dtype, std::int32_t largest_level) {
  const double limit = static_cast<double>(std::numeric_limits<float>::max()) / largest_level;
  float stored = round_to_dtype(static_cast<float>(std::min(scale, limit)), dtype);
  if (stored > limit && dtype != DType::f16) {  // rounded up past the limit: the next value below
    const std::uint32_t step = dtype == DType::bf16 ? 0x10000U : 1U;
    stored = std::bit_cast<float>(std::bit_cast<std::uint32_t>(stored) - step);
  }
  return std::max(stored, smallest_scale(dtype));
}

GridFinder::GridFinder(const GridSpec& spec) : spec_(spec), max_code_((1 << spec.bits) - 1), factors_(1, 1.0F) {
  if (spec.search != ScaleSearch::minmax) {
    const FactorRange range = factor_range(spec);
    for (int i = 0; i + 1 < spec.search_steps; ++i) {
      const double share = spec.search_steps == 2 ? 1.0 : static_cast<double>(i) / (spec.search_steps - 2);
      factors_.push_back(static_cast<float>(range.most + (range.least - range.most) * share));
    }
  }
  const auto count = static_cast<std::int64_t>(factors_.size());
  lanes_ = (count + kernels::rounding::kLaneMultiple - 1) / kernels::rounding::kLaneMultiple *
           kernels::rounding::kLaneMultiple;
  scales_.assign(static_cast<std::size_t>(lanes_), 0.0F);
  inverse_.assign(static_cast<std::size_t>(lanes_), 0.0F);
  loss_factor_.assign(static_cast<std::size_t>(lanes_), kInfinity);
  losses_.assign(static_cast<std::size_t>(lanes_), kInfinity);
}

double GridFinder::whole_range_scale(Range range) const {
  const double low = -static_cast<double>(range.low);
  const double high = range.high;
  switch (spec_.symmetry) {
    case Symmetry::asymmetric: return (low + high) / max_code_;
    case Symmetry::symmetric: return 2.0 * std::max(low, high) / max_code_;
    case Symmetry::full_range_symmetric: {
      const double middle = 1 << (spec_.bits - 1);
      return std::max(low / middle, high / (middle - 1));
    }
  }
  return 0.0;
}

std::int32_t GridFinder::range_zero_point(Range range, double scale) const {
  if (spec_.symmetry != Symmetry::asymmetric) return 1 << (spec_.bits - 1);
  // The stored scale decides, where there is one.
  const float rounded = round_to_dtype(static_cast<float>(scale), spec_.scale_dtype);
  const double divisor = rounded > 0.0F && rounded < kInfinity ? rounded : scale;
  const double exact = -static_cast<double>(range.low) / divisor;
  return static_cast<std::int32_t>(std::clamp(std::nearbyint(exact), 0.0, static_cast<double>(max_code_)));
}

void GridFinder::fill_trial_scales(double whole_scale, float unit, std::int32_t zero_point) {
  // One more than its own: the neighbours of the zero point share these scales.
  const std::int32_t largest_level = std::min(std::max(zero_point, max_code_ - zero_point) + 1, max_code_);
  for (std::size_t i = 0; i < factors_.size(); ++i) {
    const float scale = storable_scale(whole_scale * factors_[i], spec_.scale_dtype, largest_level);
    const bool fits = scale < kInfinity;
    const float relative = scale / unit;
    scales_[i] = fits ? scale : 0.0F;
    inverse_[i] = fits ? unit / scale : 0.0F;
    loss_factor_[i] = fits ? relative * relative : kInfinity;
  }
}

void GridFinder::try_zero_point(std::span<const float> weights, std::int32_t zero_point, GroupGrid& best,
                                float& best_loss) {
  const kernels::rounding::CandidateLanes trial = {.inverse_scale = inverse_.data(),
                                                   .low = static_cast<float>(-zero_point),
                                                   .high = static_cast<float>(max_code_ - zero_point),
                                                   .loss = losses_.data(),
                                                   .lanes = lanes_};
  kernels::rounding::functions().candidate_losses(normalized_.data(), weights.data(),
                                                  static_cast<std::int64_t>(weights.size()), trial);
  for (std::size_t i = 0; i < factors_.size(); ++i) {
    if (scales_[i] == 0.0F) continue;
    const float loss = losses_[i] * loss_factor_[i];
    if (loss < best_loss) {
      best_loss = loss;
      best.scale = scales_[i];
      best.zero_point = zero_point;
    }
  }
}

GroupGrid GridFinder::find(std::span<const float> values, std::span<const float> weights) {
  QUERNEL_CHECK(values.size() == weights.size());
  Range range;
  float sum = 0.0F;  // not finite as soon as one value is not
  for (const float value : values) {
    range.low = std::min(range.low, value);
    range.high = std::max(range.high, value);
    sum += value * 0.0F;
  }
  GroupGrid best = {.scale = 1.0F, .zero_point = 1 << (spec_.bits - 1), .representable = false};
  if (sum != 0.0F) return best;
  const float unit = std::max(-range.low, range.high);
  best.representable = unit == 0.0F;
  if (unit == 0.0F) return best;

  const double whole_scale = whole_range_scale(range);
  const std::int32_t zero_point = range_zero_point(range, whole_scale);
  fill_trial_scales(whole_scale, unit, zero_point);
  // The largest trial that fits stands, until another is found to lose less.
  const auto fits = std::find_if(scales_.begin(), scales_.end(), [](float scale) { return scale > 0.0F; });
  if (fits == scales_.end()) return best;
  best = {.scale = *fits, .zero_point = zero_point, .representable = true};
  if (factors_.size() == 1) return best;

  normalized_.resize(values.size());
  for (std::size_t k = 0; k < values.size(); ++k) normalized_[k] = values[k] / unit;
  float best_loss = kInfinity;
  try_zero_point(weights, zero_point, best, best_loss);
  if (spec_.symmetry == Symmetry::asymmetric) {
    for (const std::int32_t neighbour : {zero_point - 1, zero_point + 1}) {
      if (neighbour >= 0 && neighbour <= max_code_) try_zero_point(weights, neighbour, best, best_loss);
    }
  }
  return best;
}

}  // namespace quernel::quant
