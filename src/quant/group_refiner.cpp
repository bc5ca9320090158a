#include "quant/group_refiner.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "codec/integer_matrix.h"
#include "kernels/rounding/table.h"
#include "quant/scale_search.h"
#include "tensor/linalg.h"

namespace quernel::quant {
namespace {

constexpr float kLeastGain = 1e-5F;  // of a trial's loss: less is the rounding of its sum
// Trial scales of a grid whose scales are whole numbers of row scales: those next to the one at hand.
constexpr std::array<float, 4> kNeighbours{-2.0F, -1.0F, 1.0F, 2.0F};

std::vector<float> block(std::int64_t count, std::int64_t lanes) {
  return std::vector<float>(static_cast<std::size_t>(count * lanes));
}

// out [lanes] = sum over k of a [k, lanes] * b [k, lanes]
void column_dots(const float* a, const float* b, std::int64_t count, std::int64_t lanes, float* out) {
  std::fill(out, out + lanes, 0.0F);
  for (std::int64_t k = 0; k < count; ++k, a += lanes, b += lanes) {
    for (std::int64_t i = 0; i < lanes; ++i) out[i] += a[i] * b[i];
  }
}

}  // namespace

GroupRefiner::GroupRefiner(const GridSpec& grid, const RefineSpec& spec, std::int64_t widest_group,
                           std::int64_t max_lanes)
    : grid_(grid), spec_(spec), max_code_(static_cast<float>((1 << grid.bits) - 1)) {
  for (std::vector<float>* each : {&residual_, &before_, &product_}) *each = block(widest_group, max_lanes);
  if (spec.search_steps > 0) {
    for (std::vector<float>* each : {&goal_, &trial_, &trial_level_, &best_level_}) {
      *each = block(widest_group, max_lanes);
    }
  }
  for (std::vector<float>* each : {&high_, &step_, &value_, &loss_, &best_loss_, &scale_, &best_scale_}) {
    *each = block(1, max_lanes);
  }
  for (std::vector<float>* each : {&projection_, &curvature_, &coupling_, &residual_sum_}) *each = block(1, max_lanes);
  code_.resize(static_cast<std::size_t>(max_lanes));
}

const float* GroupRefiner::run(const GroupCurvature& group, const float* residual, std::int64_t lanes,
                               GroupState state) {
  group_ = &group;
  state_ = state;
  lanes_ = lanes;
  std::copy(residual, residual + group.count * lanes, residual_.data());
  write_values(before_.data());
  set_high();
  refit_scales();
  if (!group.upper.empty() && search_scales()) refit_scales();
  for (int pass = 0; pass < kDescentPasses; ++pass) descend();
  for (std::int64_t k = 0; k < group.count; ++k) {
    float* change = before_.data() + k * lanes;
    const float* level = state_.level + k * lanes;
    for (std::int64_t i = 0; i < lanes; ++i) change[i] = state_.scale[i] * level[i] - change[i];
  }
  return before_.data();
}

void GroupRefiner::set_high() {
  for (std::int64_t i = 0; i < lanes_; ++i) high_[static_cast<std::size_t>(i)] = state_.low[i] + max_code_;
}

void GroupRefiner::write_values(float* values) const {
  const float* level = state_.level;
  for (std::int64_t k = 0; k < group_->count; ++k, level += lanes_, values += lanes_) {
    for (std::int64_t i = 0; i < lanes_; ++i) values[i] = state_.scale[i] * level[i];
  }
}

float GroupRefiner::stored(std::int64_t lane, float scale) const {
  if (state_.row_scale != nullptr) {
    const float row_scale = state_.row_scale[lane];
    return row_scale * std::clamp(std::nearbyint(scale / row_scale), 1.0F, float{codec::kMaxGroupScale});
  }
  const float unit = state_.unit[lane];
  return storable_scale(static_cast<double>(scale) * unit, grid_.scale_dtype, static_cast<std::int32_t>(max_code_)) /
         unit;
}

bool GroupRefiner::can_hold(std::int64_t lane, float scale, float zero_point) const {
  if (zero_point < 0.0F || zero_point > max_code_) return false;
  if (state_.row_scale == nullptr) return true;
  const auto multiple = static_cast<std::int32_t>(std::nearbyint(scale / state_.row_scale[lane]));
  return codec::fits_int8(multiple, static_cast<std::int32_t>(zero_point), grid_.bits);
}

// The change of values is d = (s' - s) level - s' shift; its gain 2 d . R - d A d^T has one maximum over s'.
GroupRefiner::Fit GroupRefiner::fit_of(std::int64_t lane, float shift) const {
  const auto i = static_cast<std::size_t>(lane);
  const float scale = state_.scale[lane];
  const float curvature = curvature_[i] - 2.0F * shift * coupling_[i] + shift * shift * group_->total;
  const float best =
      (scale * curvature_[i] + projection_[i] - shift * (residual_sum_[i] + scale * coupling_[i])) / curvature;
  Fit fit;
  fit.shift = shift;
  fit.scale = stored(lane, best);
  if (!can_hold(lane, fit.scale, shift - state_.low[lane])) return fit;
  const float step = fit.scale - scale;
  const float moved = fit.scale * shift;
  fit.gain = 2.0F * (step * projection_[i] - moved * residual_sum_[i]) -
             (step * step * curvature_[i] - 2.0F * step * moved * coupling_[i] + moved * moved * group_->total);
  return fit;
}

void GroupRefiner::refit_scales() {
  const std::int64_t count = group_->count;
  gemm_nn(group_->hessian, ConstMatrixView(state_.level, count, lanes_), MatrixView(product_.data(), count, lanes_),
          1.0F, 0.0F);
  column_dots(state_.level, residual_.data(), count, lanes_, projection_.data());
  column_dots(state_.level, product_.data(), count, lanes_, curvature_.data());
  std::fill(coupling_.begin(), coupling_.end(), 0.0F);
  std::fill(residual_sum_.begin(), residual_sum_.end(), 0.0F);
  for (std::int64_t k = 0; k < count; ++k) {
    const float weight = group_->sums[static_cast<std::size_t>(k)];
    const float* level = state_.level + k * lanes_;
    const float* rest = residual_.data() + k * lanes_;
    for (std::int64_t i = 0; i < lanes_; ++i) {
      coupling_[static_cast<std::size_t>(i)] += weight * level[i];
      residual_sum_[static_cast<std::size_t>(i)] += rest[i];
    }
  }
  for (std::int64_t i = 0; i < lanes_; ++i) {
    Fit best = fit_of(i, 0.0F);
    if (grid_.symmetry == Symmetry::asymmetric) {
      for (const float shift : {-1.0F, 1.0F}) {
        const Fit fit = fit_of(i, shift);
        if (fit.gain > best.gain || !(best.gain > 0.0F)) best = fit;
      }
    }
    if (!(best.gain > 0.0F)) best = {.scale = state_.scale[i], .shift = 0.0F, .gain = 0.0F};
    scale_[static_cast<std::size_t>(i)] = best.scale - state_.scale[i];
    value_[static_cast<std::size_t>(i)] = best.shift;
    state_.scale[i] = best.scale;
    state_.low[i] -= best.shift;
  }
  apply_shifts();
}

// Levels, bounds and R_g after scales grew by scale_ and zero points by value_.
void GroupRefiner::apply_shifts() {
  for (std::int64_t k = 0; k < group_->count; ++k) {
    const float weight = group_->sums[static_cast<std::size_t>(k)];
    const float* product = product_.data() + k * lanes_;
    float* rest = residual_.data() + k * lanes_;
    float* level = state_.level + k * lanes_;
    for (std::int64_t i = 0; i < lanes_; ++i) {
      const auto lane = static_cast<std::size_t>(i);
      rest[i] -= scale_[lane] * product[i] - state_.scale[i] * value_[lane] * weight;
      level[i] -= value_[lane];
    }
  }
  set_high();
}

// True where some lane found a better scale. With y the values at which L would be least, L falls by (q - y) A (q - y)
// of the old values less that of the new.
bool GroupRefiner::search_scales() {
  const std::int64_t count = group_->count;
  const MatrixView whitened(trial_.data(), count, lanes_);
  gemm_nn(group_->upper, ConstMatrixView(residual_.data(), count, lanes_), whitened, 1.0F, 0.0F);
  column_dots(trial_.data(), trial_.data(), count, lanes_, best_loss_.data());
  gemm_nn(group_->lower, whitened, MatrixView(goal_.data(), count, lanes_), 1.0F, 0.0F);
  for (float& loss : best_loss_) loss *= 1.0F - kLeastGain;
  write_values(product_.data());
  for (std::int64_t e = 0; e < count * lanes_; ++e)
    goal_[static_cast<std::size_t>(e)] += product_[static_cast<std::size_t>(e)];
  std::fill(best_scale_.begin(), best_scale_.end(), 0.0F);
  for (int step = 0; step < num_trials(); ++step) try_scales(step);
  return take_best();
}

int GroupRefiner::num_trials() const {
  return state_.row_scale == nullptr ? spec_.search_steps : static_cast<int>(kNeighbours.size());
}

float GroupRefiner::trial_scale(std::int64_t lane, int step) const {
  const float scale = state_.scale[lane];
  if (state_.row_scale != nullptr) {
    const float trial = stored(lane, scale + state_.row_scale[lane] * kNeighbours[static_cast<std::size_t>(step)]);
    return can_hold(lane, trial, -state_.low[lane]) ? trial : scale;
  }
  const float share =
      spec_.search_steps == 1 ? 0.5F : static_cast<float>(step) / static_cast<float>(spec_.search_steps - 1);
  return stored(lane, scale * (1.0F + static_cast<float>(spec_.search_span) * (1.0F - 2.0F * share)));
}

// Codes of their own for each lane's trial, kept where they lower L.
void GroupRefiner::try_scales(int step) {
  const kernels::rounding::Functions& ops = kernels::rounding::functions();
  const std::int64_t count = group_->count;
  for (std::int64_t i = 0; i < lanes_; ++i) {
    scale_[static_cast<std::size_t>(i)] = trial_scale(i, step);
  }
  std::copy(goal_.data(), goal_.data() + count * lanes_, trial_.data());
  std::fill(loss_.begin(), loss_.end(), 0.0F);
  for (std::int64_t k = 0; k < count; ++k) {
    float* target = trial_.data() + k * lanes_;
    ops.round_lanes(target, scale_.data(), state_.low, high_.data(), lanes_, value_.data(), code_.data());
    const float* factors = &group_->upper(k, k);
    ops.scaled_errors(target, value_.data(), factors[0], lanes_, step_.data());
    ops.subtract_outer(factors + 1, step_.data(), count - k - 1, lanes_, target + lanes_);
    float* level = trial_level_.data() + k * lanes_;
    for (std::int64_t i = 0; i < lanes_; ++i) {
      const auto lane = static_cast<std::size_t>(i);
      loss_[lane] += step_[lane] * step_[lane];
      level[i] = static_cast<float>(code_[lane]);
    }
  }
  keep_better();
}

void GroupRefiner::keep_better() {
  for (std::int64_t i = 0; i < lanes_; ++i) {
    const auto lane = static_cast<std::size_t>(i);
    const bool better = loss_[lane] < best_loss_[lane];
    value_[lane] = better ? 1.0F : 0.0F;
    if (!better) continue;
    best_loss_[lane] = loss_[lane];
    best_scale_[lane] = scale_[lane];
  }
  for (std::int64_t k = 0; k < group_->count; ++k) {
    const float* from = trial_level_.data() + k * lanes_;
    float* to = best_level_.data() + k * lanes_;
    for (std::int64_t i = 0; i < lanes_; ++i) to[i] = value_[static_cast<std::size_t>(i)] != 0.0F ? from[i] : to[i];
  }
}

bool GroupRefiner::take_best() {
  if (std::all_of(best_scale_.begin(), best_scale_.begin() + lanes_, [](float scale) { return scale == 0.0F; })) {
    return false;
  }
  const std::int64_t count = group_->count;
  for (std::int64_t i = 0; i < lanes_; ++i) {
    const auto lane = static_cast<std::size_t>(i);
    if (best_scale_[lane] > 0.0F) state_.scale[i] = best_scale_[lane];
  }
  for (std::int64_t k = 0; k < count; ++k) {
    const float* from = best_level_.data() + k * lanes_;
    float* to = state_.level + k * lanes_;
    float* change = product_.data() + k * lanes_;
    for (std::int64_t i = 0; i < lanes_; ++i) {
      to[i] = best_scale_[static_cast<std::size_t>(i)] > 0.0F ? from[i] : to[i];
      change[i] = state_.scale[i] * to[i] - change[i];
    }
  }
  gemm_nn(group_->hessian, ConstMatrixView(product_.data(), count, lanes_), MatrixView(residual_.data(), count, lanes_),
          -1.0F, 1.0F);
  return true;
}

// Every column once, to the level nearest to where L is least along it.
void GroupRefiner::descend() {
  const kernels::rounding::Functions& ops = kernels::rounding::functions();
  for (std::int64_t k = 0; k < group_->count; ++k) {
    const float inverse = 1.0F / group_->hessian(k, k);
    const float* rest = residual_.data() + k * lanes_;
    float* level = state_.level + k * lanes_;
    for (std::int64_t i = 0; i < lanes_; ++i) {
      loss_[static_cast<std::size_t>(i)] = state_.scale[i] * level[i] + rest[i] * inverse;
    }
    ops.round_lanes(loss_.data(), state_.scale, state_.low, high_.data(), lanes_, value_.data(), code_.data());
    float moved = 0.0F;
    for (std::int64_t i = 0; i < lanes_; ++i) {
      const auto lane = static_cast<std::size_t>(i);
      step_[lane] = value_[lane] - state_.scale[i] * level[i];
      moved += step_[lane] != 0.0F ? 1.0F : 0.0F;
      level[i] = static_cast<float>(code_[lane]);
    }
    if (moved > 0.0F) ops.subtract_outer(&group_->hessian(k, 0), step_.data(), group_->count, lanes_, residual_.data());
  }
}

}  // namespace quernel::quant
