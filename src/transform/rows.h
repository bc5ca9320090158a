// The functions behind the rows of registry.cpp, and what they share.
#pragma once

#include <vector>

#include "transform/transform.h"

namespace quernel::transform {

Status check_smoothquant(const model::ModelConfig& config, const TransformSpec& spec);
Result<SiteScales> find_smoothquant_scales(const SiteInput& input);

Status check_awq(const model::ModelConfig& config, const TransformSpec& spec);
Result<SiteScales> find_awq_scales(const SiteInput& input);

Status check_reorder(const model::ModelConfig& config, const TransformSpec& spec);
Result<SiteScales> find_reorder(const SiteInput& input);

Status check_rotation(const model::ModelConfig& config, const TransformSpec& spec);
std::unique_ptr<ModelChange> make_rotation(const model::ModelConfig& config, const runtime::EndWeights& ends,
                                           const TransformSpec& spec);

// The weights that read the site.
std::vector<Matrix> consumer_weights(const SiteInput& input);

// values [site width] gathered to the producer's channels: the largest, or the mean, of those that share one.
std::vector<float> largest_by_channel(const SiteInput& input, std::span<const float> values);
std::vector<float> mean_by_channel(const SiteInput& input, std::span<const float> values);
// factors [producer width] as each input of the site sees them.
std::vector<float> spread_factors(const SiteInput& input, std::span<const float> factors);

// Factors that the following arithmetic survives: not finite or not positive ones become 1, all lie in [1e-4, 1e4].
void tame(std::vector<float>& factors);

}  // namespace quernel::transform
