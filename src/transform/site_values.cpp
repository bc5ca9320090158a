// What the scale searches share: values by input of a site, by channel of its producer, and back.
#include <algorithm>
#include <cmath>

#include "transform/pairs.h"
#include "transform/rows.h"

namespace quernel::transform {

std::vector<Matrix> consumer_weights(const SiteInput& input) {
  std::vector<Matrix> weights;
  for (const model::Linear which : consumers(input.site))
    weights.push_back(runtime::widen(input.weights.linear(which)));
  return weights;
}

std::vector<float> largest_by_channel(const SiteInput& input, std::span<const float> values) {
  const std::vector<std::int32_t> channels = producer_channels(input.config, input.site);
  std::vector<float> out(static_cast<std::size_t>(producer_width(input.config, input.site)), 0.0F);
  for (std::size_t i = 0; i < channels.size(); ++i) {
    float& channel = out[static_cast<std::size_t>(channels[i])];
    channel = std::max(channel, values[i]);
  }
  return out;
}

std::vector<float> mean_by_channel(const SiteInput& input, std::span<const float> values) {
  const std::vector<std::int32_t> channels = producer_channels(input.config, input.site);
  std::vector<float> out(static_cast<std::size_t>(producer_width(input.config, input.site)), 0.0F);
  for (std::size_t i = 0; i < channels.size(); ++i) out[static_cast<std::size_t>(channels[i])] += values[i];
  const float sharing = static_cast<float>(channels.size()) / static_cast<float>(out.size());
  for (float& value : out) value /= sharing;
  return out;
}

std::vector<float> spread_factors(const SiteInput& input, std::span<const float> factors) {
  const std::vector<std::int32_t> channels = producer_channels(input.config, input.site);
  std::vector<float> out(channels.size());
  for (std::size_t i = 0; i < channels.size(); ++i) out[i] = factors[static_cast<std::size_t>(channels[i])];
  return out;
}

void tame(std::vector<float>& factors) {
  constexpr float kMost = 1e4F;
  for (float& factor : factors) {
    if (!std::isfinite(factor) || !(factor > 0.0F)) factor = 1.0F;
    factor = std::clamp(factor, 1.0F / kMost, kMost);
  }
}

}  // namespace quernel::transform
