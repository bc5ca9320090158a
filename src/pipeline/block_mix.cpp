#include "pipeline/block_mix.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/check.h"
#include "runtime/layer_weights.h"

namespace quernel::pipeline {

namespace {

std::vector<std::string> tensors_of_block(const model::ModelConfig& config, std::int64_t layer) {
  const model::NormNames norms = model::norm_names(config, layer);
  std::vector<std::string> names{norms.attention, norms.attention_post, norms.mlp, norms.mlp_post, norms.q, norms.k};
  std::erase(names, "");
  for (const model::LinearModule& module : model::linear_modules(config, layer)) {
    names.push_back(module.name + ".weight");
    names.push_back(module.name + ".bias");
  }
  return names;
}

}  // namespace

std::vector<std::size_t> least_of(const std::vector<std::vector<double>>& errors) {
  std::vector<std::size_t> least;
  for (const std::vector<double>& layer : errors)
    least.push_back(static_cast<std::size_t>(std::min_element(layer.begin(), layer.end()) - layer.begin()));
  return least;
}

BlockMix::BlockMix(const model::Checkpoint& source, std::vector<const model::Checkpoint*> parts,
                   std::vector<std::size_t> taken, const model::QuantizationInfo& info)
    : source_(source), parts_(std::move(parts)), taken_(std::move(taken)), info_(info) {
  const model::ModelConfig& config = source.config();
  QUERNEL_CHECK(static_cast<std::int64_t>(taken_.size()) == config.num_layers, "one choice a layer");
  for (const std::size_t part : taken_) QUERNEL_CHECK(part < parts_.size(), "a part that is there");
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer)
    for (const std::string& name : tensors_of_block(config, layer)) layer_of_[name] = layer;
}

const model::Checkpoint* BlockMix::part_of(std::int64_t layer) const {
  return parts_[taken_[static_cast<std::size_t>(layer)]];
}

const model::Checkpoint* BlockMix::origin_of(const std::string& tensor) const {
  const auto found = layer_of_.find(tensor);
  return found == layer_of_.end() ? nullptr : part_of(found->second);
}

// A format may not store that zero points are all the same, or may store scales in a wider type: the values are what was
// computed, their names are put back.
Result<exporting::MatrixPointer> BlockMix::read(const std::string& module) const {
  const model::Checkpoint* part = origin_of(module + ".weight");
  if (part == nullptr) return Error(Fault::not_found, "the model has no such module").in_tensor(module);
  QUERNEL_TRY(codec::IntegerMatrix matrix, part->read_quantized(module));
  matrix.symmetric = info_.symmetric;
  matrix.scale_dtype = info_.scale_dtype;
  return std::make_shared<const codec::IntegerMatrix>(std::move(matrix));
}

exporting::ExportInput BlockMix::input(std::vector<std::string> modules) const {
  struct Last {
    std::string name;
    exporting::MatrixPointer matrix;
  };
  // Writers ask for a matrix once for each of its tensors.
  const auto last = std::make_shared<Last>();
  const auto read_once = [this, last](const std::string& module) -> Result<exporting::MatrixPointer> {
    if (last->matrix == nullptr || last->name != module) {
      QUERNEL_TRY(last->matrix, read(module));
      last->name = module;
    }
    return last->matrix;
  };
  const auto origin = [this](const std::string& tensor) { return origin_of(tensor); };
  return {&source_, info_, std::move(modules), read_once, origin};
}

Result<LogitDifference> BlockMix::compare_logits(const std::string& folder, sys::ThreadPool& pool) const {
  QUERNEL_TRY(const model::Checkpoint written, model::Checkpoint::open(folder));
  const auto put_part = [this](runtime::LayerWeights& weights) -> Status {
    QUERNEL_TRY(weights, runtime::load_layer(*part_of(weights.index), weights.index));
    return {};
  };
  return pipeline::compare_logits(written, put_part, written, pool);
}

}  // namespace quernel::pipeline
