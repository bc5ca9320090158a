// AWQ, first half: factors that make room for the weights whose inputs are large. The second half is quant/awq.cpp.
//
// Formula  x_j = mean |X_j|, w_j = mean over rows of |W_ij| / max |W_i,group of j|; ratio r = i / ratios, i = 0 .. ratios - 1;
//          s_j = x_j^r / (w_j^(1 - r) + 1e-4) with duo scaling, x_j^r without; at least 1e-4; divided by sqrt(max s * min s)
// Measure  sum over consumers of tr(E H E^T), E = Q(W s) / s - W: with H = sum x x^T this is ||Q(W s) s^-1 X - W X||^2, the
//          objective of the paper (section 3.2), for the outputs of the consumers. No factors at all is one more candidate.
// Not      for q, k, v behind a norm where q and k are normalised themselves: measured worse than rounding there
// Source   Lin et al., AWQ, MLSys 2024; duo scaling as in AutoAWQ and llm-compressor
#include <algorithm>
#include <cmath>
#include <limits>

#include "quant/prepared_hessian.h"
#include "transform/pairs.h"
#include "transform/probe.h"
#include "transform/rows.h"

namespace quernel::transform {
namespace {

constexpr double kLeast = 1e-4;

// Mean size of each column, every weight seen against the largest of its group.
std::vector<float> relative_sizes(std::span<const Matrix> weights, const quant::GridSpec& grid) {
  const std::int64_t cols = weights.front().cols();
  const auto group = static_cast<std::size_t>(quant::effective_group_size(grid, cols));
  std::vector<double> sums(static_cast<std::size_t>(cols), 0.0);
  std::int64_t rows = 0;
  for (const Matrix& weight : weights) {
    rows += weight.rows();
    for (std::int64_t row = 0; row < weight.rows(); ++row) {
      const std::span<const float> values = weight.row(row);
      for (std::size_t first = 0; first < values.size(); first += group) {
        const std::size_t end = std::min(first + group, values.size());
        float largest = 0.0F;
        for (std::size_t k = first; k < end; ++k) largest = std::max(largest, std::abs(values[k]));
        if (!(largest > 0.0F)) continue;
        for (std::size_t k = first; k < end; ++k) sums[k] += double{std::abs(values[k])} / double{largest};
      }
    }
  }
  std::vector<float> means(sums.size());
  for (std::size_t k = 0; k < sums.size(); ++k) means[k] = static_cast<float>(sums[k] / static_cast<double>(rows));
  return means;
}

std::vector<float> awq_factors(std::span<const float> activity, std::span<const float> sizes, double ratio, bool duo) {
  std::vector<double> factors(activity.size());
  double least = std::numeric_limits<double>::infinity();
  double most = 0.0;
  for (std::size_t j = 0; j < factors.size(); ++j) {
    const double divisor = duo ? std::pow(double{sizes[j]}, 1.0 - ratio) + kLeast : 1.0;
    factors[j] = std::max(std::pow(double{activity[j]}, ratio) / divisor, kLeast);
    least = std::min(least, factors[j]);
    most = std::max(most, factors[j]);
  }
  std::vector<float> out(factors.size());
  const double middle = std::sqrt(most * least);
  for (std::size_t j = 0; j < out.size(); ++j) out[j] = static_cast<float>(factors[j] / middle);
  tame(out);
  return out;
}

}  // namespace

Status check_awq(const model::ModelConfig&, const TransformSpec&) { return {}; }

Result<SiteScales> find_awq_scales(const SiteInput& input) {
  const bool normalised_queries = input.config.qk_norm_per_head || input.config.qk_norm_full;
  if (!has_pair(input.config, input.site) || (input.site == model::Site::attention_in && normalised_queries))
    return SiteScales{};
  const std::vector<Matrix> weights = consumer_weights(input);
  const std::vector<float> activity = mean_by_channel(input, input.stats.mean_abs);
  const std::vector<float> sizes = mean_by_channel(input, relative_sizes(weights, input.grid));
  const double unchanged = weight_error(weights, {}, input.stats.hessian, input.grid, input.pool);
  SiteScales best;
  double least = unchanged;
  for (int step = 0; step < input.spec.awq_ratios; ++step) {
    const double ratio = static_cast<double>(step) / input.spec.awq_ratios;
    std::vector<float> factors = awq_factors(activity, sizes, ratio, input.spec.awq_duo);
    const double error =
        weight_error(weights, spread_factors(input, factors), input.stats.hessian, input.grid, input.pool);
    if (!(error < least)) continue;
    least = error;
    best.factors = std::move(factors);
  }
  best.error_ratio = best.factors.empty() ? 1.0 : least / unchanged;
  return best;
}

}  // namespace quernel::transform
