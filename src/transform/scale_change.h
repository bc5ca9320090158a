// The change that SmoothQuant, AWQ and reordering make: factors, or an order of channels, for the sites of every layer.
#pragma once

#include <array>
#include <vector>

#include "transform/transform.h"

namespace quernel::transform {

using LayerScales = std::array<SiteScales, model::kSites.size()>;  // by site

// layers [num_layers]; config must outlive the change.
std::unique_ptr<ModelChange> make_scale_change(const model::ModelConfig& config, std::vector<LayerScales> layers);

}  // namespace quernel::transform
