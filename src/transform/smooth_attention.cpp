#include "transform/smooth_attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "base/check.h"
#include "tensor/half.h"

namespace quernel::transform {
namespace {

// 2^30: what the product of a weight and a factor survives, whatever the channel.
constexpr double kLargestFactor = 0x1p30;

std::int64_t rotary_dim(const model::ModelConfig& config, std::int64_t layer) {
  const model::LayerConfig& how = config.layers[static_cast<std::size_t>(layer)];
  if (!how.rotates) return 0;
  return how.local_rope ? config.rope_local.rotary_dim : config.rope.rotary_dim;
}

// Both entries of a pair get the larger one.
void join_pairs(std::int64_t rotary, std::span<float> head) {
  for (std::int64_t i = 0; i < rotary / 2; ++i) {
    float& first = head[static_cast<std::size_t>(i)];
    float& second = head[static_cast<std::size_t>(i + rotary / 2)];
    first = second = std::max(first, second);
  }
}

void join_heads(std::int64_t head_dim, std::vector<float>& values) {
  for (std::size_t i = 0; i < static_cast<std::size_t>(head_dim); ++i) {
    float largest = 0.0F;
    for (std::size_t k = i; k < values.size(); k += static_cast<std::size_t>(head_dim)) {
      largest = std::max(largest, values[k]);
    }
    for (std::size_t k = i; k < values.size(); k += static_cast<std::size_t>(head_dim)) values[k] = largest;
  }
}

// row i *= factors[i]
void scale_rows(std::span<const float> factors, runtime::LinearWeight& weight) {
  QUERNEL_CHECK(std::cmp_equal(factors.size(), weight.rows), "{} factors for {} rows", factors.size(), weight.rows);
  Matrix scaled = Matrix::uninitialized(weight.rows, weight.cols);
  for (std::int64_t row = 0; row < weight.rows; ++row) {
    const std::span<float> to = scaled.row(row);
    if (weight.f32.data != nullptr) {
      std::copy(weight.f32.row(row).begin(), weight.f32.row(row).end(), to.begin());
    } else {
      bf16_to_float(weight.bf16.row(row), to);
    }
    for (float& value : to) value *= factors[static_cast<std::size_t>(row)];
  }
  for (std::size_t row = 0; row < weight.bias.size(); ++row) weight.bias[row] *= factors[row];
  weight.owned = std::make_shared<const Matrix>(std::move(scaled));
  weight.f32 = weight.owned->view();
  weight.bf16 = {};
}

void scale_gain(std::span<const float> factors, std::vector<float>& gain) {
  for (std::size_t i = 0; i < gain.size(); ++i) gain[i] *= factors[i];
}

// What the query heads get: each head that of the key head it reads.
std::vector<float> query_factors(const model::ModelConfig& config, std::span<const float> factors) {
  std::vector<float> out(static_cast<std::size_t>(config.q_size()));
  const std::int64_t group = config.num_heads / config.num_kv_heads;
  for (std::int64_t k = 0; k < config.q_size(); ++k) {
    const std::int64_t head = k / config.head_dim / group;
    out[static_cast<std::size_t>(k)] = factors[static_cast<std::size_t>(head * config.head_dim + k % config.head_dim)];
  }
  return out;
}

}  // namespace

Result<std::vector<float>> smooth_attention_factors(const model::ModelConfig& config, std::int64_t layer,
                                                    std::span<const float> max_abs_keys, double alpha) {
  if (std::cmp_not_equal(max_abs_keys.size(), config.kv_size()))
    return Error(Fault::invalid_argument, "a maximum for every channel of the keys is needed")
        .expect(fmt::format("{}", config.kv_size()), fmt::format("{}", max_abs_keys.size()));
  std::vector<float> factors(max_abs_keys.begin(), max_abs_keys.end());
  for (std::size_t i = 0; i < factors.size(); ++i) {
    if (factors[i] >= 0.0F && std::isfinite(factors[i])) continue;
    return Error(Fault::invalid_argument, fmt::format("the maximum of key channel {} is none", i))
        .expect("0 or more, finite", fmt::format("{}", factors[i]));
  }
  for (std::int64_t head = 0; head < config.num_kv_heads; ++head) {
    join_pairs(rotary_dim(config, layer), std::span(factors).subspan(static_cast<std::size_t>(head * config.head_dim),
                                                                     static_cast<std::size_t>(config.head_dim)));
  }
  if (config.qk_norm_per_head) join_heads(config.head_dim, factors);
  for (float& factor : factors) {
    const double power = factor == 0.0F ? 1.0 : std::pow(static_cast<double>(factor), alpha);
    factor = static_cast<float>(std::clamp(power, 1.0 / kLargestFactor, kLargestFactor));
  }
  return factors;
}

void apply_key_factors(const model::ModelConfig& config, std::span<const float> factors,
                       runtime::LayerWeights& weights) {
  std::vector<float> inverse(factors.begin(), factors.end());
  for (float& factor : inverse) factor = 1.0F / factor;
  const std::vector<float> for_queries = query_factors(config, factors);
  if (!weights.q_norm.empty()) {
    scale_gain(for_queries, weights.q_norm);
    scale_gain(inverse, weights.k_norm);
    return;
  }
  scale_rows(for_queries, weights.linears[static_cast<std::size_t>(model::Linear::q)]);
  scale_rows(inverse, weights.linears[static_cast<std::size_t>(model::Linear::k)]);
}

}  // namespace quernel::transform
