#include "transform/scale_change.h"

#include <utility>

#include "transform/pairs.h"
#include "transform/smooth_attention.h"

namespace quernel::transform {
namespace {

class ScaleChange final : public ModelChange {
 public:
  ScaleChange(const model::ModelConfig& config, std::vector<LayerScales> layers)
      : config_(config), layers_(std::move(layers)) {}

  void change_layer(runtime::LayerWeights& weights, sys::ThreadPool&) const override {
    const LayerScales& scales = layers_[static_cast<std::size_t>(weights.index)];
    for (const model::Site site : model::kSites) {
      const SiteScales& found = scales[static_cast<std::size_t>(site)];
      if (!found.factors.empty()) move_scales(config_, site, found.factors, weights);
      if (!found.order.empty()) reorder_inner_channels(found.order, weights);
      if (!found.key_factors.empty()) apply_key_factors(config_, found.key_factors, weights);
    }
  }

 private:
  const model::ModelConfig& config_;
  std::vector<LayerScales> layers_;
};

}  // namespace

std::unique_ptr<ModelChange> make_scale_change(const model::ModelConfig& config, std::vector<LayerScales> layers) {
  return std::make_unique<ScaleChange>(config, std::move(layers));
}

void ChainedChange::change_layer(runtime::LayerWeights& weights, sys::ThreadPool& pool) const {
  for (const auto& change : changes_) change->change_layer(weights, pool);
}
void ChainedChange::change_embedding(MatrixView rows, sys::ThreadPool& pool) const {
  for (const auto& change : changes_) change->change_embedding(rows, pool);
}
void ChainedChange::change_head(MatrixView rows, sys::ThreadPool& pool) const {
  for (const auto& change : changes_) change->change_head(rows, pool);
}
void ChainedChange::change_final_norm(std::span<float> gain) const {
  for (const auto& change : changes_) change->change_final_norm(gain);
}
void ChainedChange::change_config(model::ModelConfig& config) const {
  for (const auto& change : changes_) change->change_config(config);
}
bool ChainedChange::unties() const {
  for (const auto& change : changes_)
    if (change->unties()) return true;
  return false;
}

}  // namespace quernel::transform
