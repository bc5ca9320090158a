#include "engine/model_weights.h"

#include <algorithm>
#include <utility>

#include "kernels/packed/packed.h"
#include "sys/memory.h"

namespace quernel::engine {
namespace {

template <typename Function>
void for_each_linear(const ModelWeights& weights, const Function& function) {
  function(weights.head);
  for (const Layer& layer : weights.layers)
    for (const PackedLinear& linear : layer.linears) function(linear);
}

// A packed module's bytes in the file are not needed again.
void release_module(const model::Checkpoint& checkpoint, const std::string& module) {
  for (const model::TensorInfo& tensor : checkpoint.tensors())
    if (tensor.name.starts_with(module + ".")) checkpoint.release(tensor.name);
}

Status pack_layer(const model::Checkpoint& checkpoint, const PackPlace& place, Layer& layer) {
  for (const model::LinearModule& module : layer.modules) {
    QUERNEL_TRY(PackedLinear linear, load_packed(checkpoint, module, place));
    layer.linears.push_back(std::move(linear));
    release_module(checkpoint, module.name);
  }
  return ok_status();
}

Result<PackedLinear> pack_head(const model::Checkpoint& checkpoint, const PackPlace& place) {
  const bool tied = checkpoint.config().tie_word_embeddings;
  const std::string name = tied ? model::kEmbeddingTensor : std::string(model::kHeadModule) + ".weight";
  if (const std::optional<model::StoredBlocks> stored = checkpoint.blocks(name)) {
    Result<PackedLinear> head = pack_blocks(*stored, place);
    if (!head.ok()) return std::move(head).error().in_file(checkpoint.path()).in_tensor(name);
    return head;
  }
  QUERNEL_TRY(const runtime::LinearWeight dense, runtime::load_head(checkpoint));
  return pack_dense(dense, place);
}

// At least this much memory a packed model takes: a weight as it is stored, a dense one in 8 bits and a scale for 64.
std::uint64_t least_bytes(const model::Checkpoint& checkpoint) {
  std::uint64_t bytes = 0;
  for (std::int64_t layer = 0; layer < checkpoint.config().num_layers; ++layer)
    for (const model::LinearModule& module : model::linear_modules(checkpoint.config(), layer)) {
      const std::string weight = module.name + ".weight";
      const bool is_dense = !checkpoint.is_quantized(module.name) && !checkpoint.blocks(weight);
      std::uint64_t stored = 0;
      for (const model::TensorInfo& tensor : checkpoint.tensors())
        if (tensor.name.starts_with(module.name + ".")) stored += tensor.bytes;
      bytes += is_dense ? static_cast<std::uint64_t>(module.rows * module.cols) * 33 / 32 : stored;
    }
  return bytes;
}

Status check_memory(const model::Checkpoint& checkpoint) {
  const std::uint64_t least = least_bytes(checkpoint);
  const std::uint64_t available = sys::available_bytes();
  if (least <= available) return ok_status();
  return Error(Fault::out_of_memory, "the model does not fit into memory")
      .in_file(checkpoint.path())
      .expect("at least " + sys::format_bytes(least), sys::format_bytes(available) + " available");
}

}  // namespace

std::uint64_t ModelWeights::bytes() const {
  std::uint64_t bytes = 0;
  for_each_linear(*this, [&](const PackedLinear& linear) { bytes += linear.weight.bytes(); });
  return bytes;
}

std::int64_t ModelWeights::num_weights() const {
  std::int64_t count = 0;
  for_each_linear(*this, [&](const PackedLinear& linear) { count += linear.rows() * linear.cols(); });
  return count;
}

std::uint64_t ModelWeights::most_scratch_bytes() const {
  std::int64_t most = 0;
  for_each_linear(*this, [&](const PackedLinear& linear) {
    most = std::max(most, kernels::packed::scratch_bytes(linear.weight.view()));
  });
  return static_cast<std::uint64_t>(most);
}

Result<ModelWeights> load_frame(const model::Checkpoint& checkpoint) {
  QUERNEL_TRY_STATUS(check_memory(checkpoint));
  ModelWeights weights;
  QUERNEL_TRY(weights.final_norm, runtime::load_final_norm(checkpoint));
  for (std::int64_t index = 0; index < checkpoint.config().num_layers; ++index) {
    Layer layer;
    QUERNEL_TRY(static_cast<runtime::LayerNorms&>(layer), runtime::load_layer_norms(checkpoint, index));
    layer.modules = model::linear_modules(checkpoint.config(), index);
    weights.layers.push_back(std::move(layer));
  }
  return weights;
}

Result<ModelWeights> pack_weights(const model::Checkpoint& checkpoint, sys::ThreadPool& pool) {
  QUERNEL_TRY(ModelWeights weights, load_frame(checkpoint));
  sys::HugeArena arena;
  const PackPlace place{pool, &arena};
  QUERNEL_TRY(weights.head, pack_head(checkpoint, place));
  release_module(checkpoint, checkpoint.config().tie_word_embeddings ? "model.embed_tokens" : model::kHeadModule);
  for (Layer& layer : weights.layers) QUERNEL_TRY_STATUS(pack_layer(checkpoint, place, layer));
  return weights;
}

}  // namespace quernel::engine
