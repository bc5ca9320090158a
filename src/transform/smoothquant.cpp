// SmoothQuant: part of the range of large activations goes into the weights.
//
// Formula  s_j = max|X_j|^alpha / max|W_j|^(1 - alpha), X_j the inputs of channel j, W_j the column of all its consumers;
//          the producer is divided by s, consumers multiplied
// Search   alpha from 0 to 1 in steps of 0.1, and no factors at all; the least error of the consumers' outputs with rounded
//          weights and activations on sampled rows (probe.h)
// Source   Xiao et al., SmoothQuant, ICML 2023, equation 4; the search is ours
#include <algorithm>
#include <cmath>

#include "transform/pairs.h"
#include "transform/probe.h"
#include "transform/rows.h"
#include "transform/smooth_attention.h"

namespace quernel::transform {
namespace {

constexpr int kSteps = 10;

std::vector<float> smooth_factors(std::span<const float> inputs, std::span<const float> weights, double alpha) {
  std::vector<float> factors(inputs.size(), 1.0F);
  for (std::size_t j = 0; j < factors.size(); ++j) {
    if (!(inputs[j] > 0.0F) || !(weights[j] > 0.0F)) continue;  // a channel without signal has nothing to share
    factors[j] = static_cast<float>(std::pow(double{inputs[j]}, alpha) / std::pow(double{weights[j]}, 1.0 - alpha));
  }
  tame(factors);
  return factors;
}

std::vector<float> largest_weights(std::span<const Matrix> weights) {
  std::vector<float> largest(static_cast<std::size_t>(weights.front().cols()), 0.0F);
  for (const Matrix& weight : weights)
    for (std::int64_t row = 0; row < weight.rows(); ++row)
      for (std::size_t k = 0; k < largest.size(); ++k) largest[k] = std::max(largest[k], std::abs(weight.row(row)[k]));
  return largest;
}

SiteScales search_alpha(const SiteInput& input, std::span<const Matrix> weights, std::span<const float> activity,
                        std::span<const float> sizes) {
  const auto error_of = [&](std::span<const float> factors) {
    return output_error(weights, factors, input.stats.sample, input.grid, input.spec.smooth_act_bits, input.pool);
  };
  SiteScales best;
  const double unchanged = error_of({});
  double least = unchanged;
  for (int step = 0; step <= kSteps; ++step) {
    std::vector<float> factors = smooth_factors(activity, sizes, static_cast<double>(step) / kSteps);
    const double error = error_of(spread_factors(input, factors));
    if (!(error < least)) continue;
    least = error;
    best.factors = std::move(factors);
  }
  best.error_ratio = best.factors.empty() ? 1.0 : least / unchanged;
  return best;
}

}  // namespace

Status check_smoothquant(const model::ModelConfig& config, const TransformSpec& spec) {
  if (config.norm_before || spec.smooth_down) return {};
  return Error(Fault::unsupported, "smoothquant has nothing to scale: this model has no norms before its linears")
      .in_field("--preprocess")
      .expect("norms before attention and MLP, or --smooth-down true", config.architecture);
}

Result<SiteScales> find_smoothquant_scales(const SiteInput& input) {
  const bool after_norm = input.site == model::Site::attention_in || input.site == model::Site::mlp_in;
  const bool down = input.site == model::Site::mlp_out && input.spec.smooth_down;
  const bool out = input.site == model::Site::attention_out && input.spec.smooth_out;
  SiteScales scales;
  // A rotation that follows takes the gains of norms, and factors in them, back into the weights: nothing would be left.
  if ((after_norm && !input.rotated_later) || down || out) {
    const std::vector<Matrix> weights = consumer_weights(input);
    const std::vector<float> activity = largest_by_channel(input, input.stats.max_abs);
    const std::vector<float> sizes = largest_by_channel(input, largest_weights(weights));
    if (input.spec.smooth_search) {
      scales = search_alpha(input, weights, activity, sizes);
    } else {
      scales.factors = smooth_factors(activity, sizes, input.spec.smooth_alpha);
    }
  }
  if (input.site == model::Site::attention_out && input.spec.smooth_keys > 0.0) {
    QUERNEL_TRY(scales.key_factors, smooth_attention_factors(input.config, input.weights.index,
                                                             input.stats.max_abs_keys, input.spec.smooth_keys));
  }
  return scales;
}

}  // namespace quernel::transform
