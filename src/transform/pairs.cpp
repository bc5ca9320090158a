#include "transform/pairs.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"

namespace quernel::transform {
namespace {

using model::Linear;
using model::Site;
using runtime::LinearWeight;

runtime::LinearWeight& linear_of(runtime::LayerWeights& weights, Linear which) {
  return weights.linears[static_cast<std::size_t>(which)];
}

// Puts changed values in the place of a weight; the bias stays.
void put(LinearWeight& weight, Matrix values) {
  std::vector<float> bias = std::move(weight.bias);
  weight = runtime::own_weight(std::move(values));
  weight.bias = std::move(bias);
}

void multiply_columns(LinearWeight& weight, std::span<const float> factors, std::span<const std::int32_t> channels) {
  Matrix values = runtime::widen(weight);
  for (std::int64_t row = 0; row < values.rows(); ++row) {
    float* out = values.row(row).data();
    for (std::size_t col = 0; col < channels.size(); ++col)
      out[col] *= factors[static_cast<std::size_t>(channels[col])];
  }
  put(weight, std::move(values));
}

void divide_rows(LinearWeight& weight, std::span<const float> factors) {
  Matrix values = runtime::widen(weight);
  for (std::int64_t row = 0; row < values.rows(); ++row)
    for (float& value : values.row(row)) value /= factors[static_cast<std::size_t>(row)];
  for (std::size_t row = 0; row < weight.bias.size(); ++row) weight.bias[row] /= factors[row];
  put(weight, std::move(values));
}

void take_rows(LinearWeight& weight, std::span<const std::int32_t> order) {
  const Matrix values = runtime::widen(weight);
  Matrix taken = Matrix::uninitialized(values.rows(), values.cols());
  std::vector<float> bias;
  for (std::size_t row = 0; row < order.size(); ++row) {
    const std::span<const float> from = values.row(order[row]);
    std::copy(from.begin(), from.end(), taken.row(static_cast<std::int64_t>(row)).begin());
    if (!weight.bias.empty()) bias.push_back(weight.bias[static_cast<std::size_t>(order[row])]);
  }
  weight.bias = std::move(bias);
  put(weight, std::move(taken));
}

void take_columns(LinearWeight& weight, std::span<const std::int32_t> order) {
  const Matrix values = runtime::widen(weight);
  Matrix taken = Matrix::uninitialized(values.rows(), values.cols());
  for (std::int64_t row = 0; row < values.rows(); ++row) {
    const std::span<const float> from = values.row(row);
    std::transform(order.begin(), order.end(), taken.row(row).begin(),
                   [&](std::int32_t channel) { return from[static_cast<std::size_t>(channel)]; });
  }
  put(weight, std::move(taken));
}

void divide(std::vector<float>& gain, std::span<const float> factors) {
  for (std::size_t i = 0; i < gain.size(); ++i) gain[i] /= factors[i];
}

}  // namespace

bool has_pair(const model::ModelConfig& config, Site site) {
  const bool reads_norm = site == Site::attention_in || site == Site::mlp_in;
  return !reads_norm || config.norm_before;
}

std::span<const Linear> consumers(Site site) {
  static constexpr std::array kQkv{Linear::q, Linear::k, Linear::v};
  static constexpr std::array kOut{Linear::o};
  static constexpr std::array kGateUp{Linear::gate, Linear::up};
  static constexpr std::array kDown{Linear::down};
  switch (site) {
    case Site::attention_in: return kQkv;
    case Site::attention_out: return kOut;
    case Site::mlp_in: return kGateUp;
    case Site::mlp_out: return kDown;
  }
  return {};
}

std::int64_t producer_width(const model::ModelConfig& config, Site site) {
  return site == Site::attention_out ? config.kv_size() : model::site_width(config, site);
}

std::vector<std::int32_t> producer_channels(const model::ModelConfig& config, Site site) {
  std::vector<std::int32_t> channels(static_cast<std::size_t>(model::site_width(config, site)));
  const std::int64_t sharing = config.num_heads / config.num_kv_heads;
  for (std::size_t i = 0; i < channels.size(); ++i) {
    const auto input = static_cast<std::int64_t>(i);
    const std::int64_t head = input / config.head_dim;
    channels[i] = static_cast<std::int32_t>(
        site == Site::attention_out ? head / sharing * config.head_dim + input % config.head_dim : input);
  }
  return channels;
}

void move_scales(const model::ModelConfig& config, Site site, std::span<const float> factors,
                 runtime::LayerWeights& weights) {
  QUERNEL_CHECK(has_pair(config, site) && std::cmp_equal(factors.size(), producer_width(config, site)));
  const std::vector<std::int32_t> channels = producer_channels(config, site);
  switch (site) {
    case Site::attention_in: divide(weights.attention_norm, factors); break;
    case Site::mlp_in: divide(weights.mlp_norm, factors); break;
    case Site::attention_out: divide_rows(linear_of(weights, Linear::v), factors); break;
    case Site::mlp_out: divide_rows(linear_of(weights, Linear::up), factors); break;
  }
  for (const Linear consumer : consumers(site)) multiply_columns(linear_of(weights, consumer), factors, channels);
}

void reorder_inner_channels(std::span<const std::int32_t> order, runtime::LayerWeights& weights) {
  QUERNEL_CHECK(std::cmp_equal(order.size(), linear_of(weights, Linear::down).cols), "an order of {}", order.size());
  take_rows(linear_of(weights, Linear::gate), order);
  take_rows(linear_of(weights, Linear::up), order);
  take_columns(linear_of(weights, Linear::down), order);
}

}  // namespace quernel::transform
