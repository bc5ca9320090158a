#include "pipeline/prepared_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/json.h"
#include "export/dense_tensors.h"
#include "export/side_files.h"
#include "io/safetensors_writer.h"
#include "runtime/layer_weights.h"
#include "sys/atomic_file.h"
#include "sys/interrupt.h"

namespace quernel::pipeline {

namespace {

constexpr std::int64_t kRowsAtOnce = 1024;  // of embedding and head
constexpr DType kGgufDense = DType::f16;    // what the exporter gives tensors of a GGUF that stay dense

using NormMember = std::vector<float> runtime::LayerWeights::*;

// Where the values of a tensor are in a layer.
struct LayerPlace {
  std::int64_t layer = 0;
  const model::LinearModule* module = nullptr;  // weight or bias of it
  bool bias = false;
  NormMember norm = nullptr;
};

class Writer {
 public:
  Writer(const LoadedSource& source, const transform::ModelChange& change, sys::ThreadPool& pool,
         sys::ProgressSink& progress)
      : source_(source), checkpoint_(source.checkpoint), change_(change), pool_(pool), progress_(progress) {
    for (std::int64_t layer = 0; layer < checkpoint_.config().num_layers; ++layer) place_layer(layer);
  }

  Status write(const std::string& folder) {
    QUERNEL_TRY(ends_, runtime::load_ends(checkpoint_));
    model::ModelConfig config = checkpoint_.config();
    config.tie_word_embeddings = config.tie_word_embeddings && !change_.unties();
    change_.change_config(config);
    const std::set<std::string> quantized = quantized_tensors();
    std::vector<io::PlannedTensor> plan;
    for (const model::ExpectedTensor& tensor : model::expected_tensors(config))
      plan.push_back(
          {tensor.name, quantized.contains(tensor.name) ? DType::f32 : dense_type(tensor.name), tensor.shape});
    const io::TensorSource stream = [&](std::size_t index, const io::ByteSink& sink) {
      return stream_tensor(plan[index], sink);
    };
    QUERNEL_TRY(const auto written, io::write_safetensors(folder, plan, stream));
    QUERNEL_TRY(const auto side_files, exporting::write_side_files(checkpoint_, folder));
    return sys::write_file(folder + "/config.json", dump_json(config_json(config), 2) + "\n");
  }

 private:
  void place_layer(std::int64_t layer) {
    const auto& modules = modules_.emplace_back(
        std::make_unique<std::vector<model::LinearModule>>(model::linear_modules(checkpoint_.config(), layer)));
    for (const model::LinearModule& module : *modules) {
      places_[module.name + ".weight"] = {layer, &module, false, nullptr};
      places_[module.name + ".bias"] = {layer, &module, true, nullptr};
    }
    const model::NormNames names = model::norm_names(checkpoint_.config(), layer);
    const std::pair<std::string, NormMember> norms[] = {
        {names.attention, &runtime::LayerWeights::attention_norm},
        {names.attention_post, &runtime::LayerWeights::attention_post_norm},
        {names.mlp, &runtime::LayerWeights::mlp_norm},
        {names.mlp_post, &runtime::LayerWeights::mlp_post_norm},
        {names.q, &runtime::LayerWeights::q_norm},
        {names.k, &runtime::LayerWeights::k_norm}};
    for (const auto& [name, member] : norms)
      if (!name.empty()) places_[name] = {layer, nullptr, false, member};
  }

  std::set<std::string> quantized_tensors() const {
    std::set<std::string> names;
    for (const auto& layer : source_.layers)
      for (const model::LinearModule& module : layer) names.insert(module.name + ".weight");
    return names;
  }

  // A head that was tied gets the embedding's type.
  DType dense_type(const std::string& name) const {
    if (checkpoint_.kind() == model::CheckpointKind::gguf) return kGgufDense;
    const model::TensorInfo* info = checkpoint_.find(name);
    if (info == nullptr) info = checkpoint_.find(model::kEmbeddingTensor);
    const auto dtype = info == nullptr ? std::nullopt : dtype_from_name(info->stored_type);
    return dtype == DType::f16 || dtype == DType::bf16 ? *dtype : DType::f32;
  }

  Json config_json(const model::ModelConfig& config) const {
    Json json = checkpoint_.config_json();
    if (checkpoint_.kind() == model::CheckpointKind::gguf) {
      json["torch_dtype"] = "float16";
      json["dtype"] = "float16";
    }
    json["tie_word_embeddings"] = config.tie_word_embeddings;
    if (config.online_qk_hadamard) json["quernel_runtime"]["online_qk_hadamard"] = true;
    if (config.online_down_hadamard) json["quernel_runtime"]["online_down_hadamard"] = true;
    return json;
  }

  Status stream_tensor(const io::PlannedTensor& tensor, const io::ByteSink& sink) {
    QUERNEL_TRY_STATUS(sys::check_interrupt());
    if (tensor.name == model::kEmbeddingTensor) return stream_table(tensor, ends_.embedding, false, sink);
    if (tensor.name == std::string(model::kHeadModule) + ".weight") return stream_table(tensor, ends_.head, true, sink);
    if (tensor.name == model::kFinalNormTensor) {
      std::vector<float> gain = ends_.final_norm;
      change_.change_final_norm(gain);
      return stream_gain(tensor, gain, sink);
    }
    const LayerPlace& place = places_.at(tensor.name);
    QUERNEL_TRY_STATUS(load_layer(place.layer));
    if (place.norm != nullptr) return stream_gain(tensor, (*layer_).*place.norm, sink);
    for (const model::ModulePart& part : place.module->parts) {
      const runtime::LinearWeight& weight = layer_->linear(part.linear);
      if (place.bias) {
        QUERNEL_TRY_STATUS(emit(tensor, weight.bias, sink));
      } else {
        const Matrix values = runtime::widen(weight);
        QUERNEL_TRY_STATUS(emit(tensor, {values.data(), static_cast<std::size_t>(values.size())}, sink));
      }
    }
    return {};
  }

  Status stream_table(const io::PlannedTensor& tensor, const runtime::LinearWeight& table, bool is_head,
                      const io::ByteSink& sink) {
    for (std::int64_t first = 0; first < table.rows; first += kRowsAtOnce) {
      Matrix rows = runtime::widen(table, first, std::min(kRowsAtOnce, table.rows - first));
      if (is_head) {
        change_.change_head(rows, pool_);
      } else {
        change_.change_embedding(rows, pool_);
      }
      QUERNEL_TRY_STATUS(emit(tensor, {rows.data(), static_cast<std::size_t>(rows.size())}, sink));
    }
    return {};
  }

  Status stream_gain(const io::PlannedTensor& tensor, std::vector<float> gain, const io::ByteSink& sink) {
    if (checkpoint_.config().norm_adds_one)
      for (float& value : gain) value -= 1.0F;
    return emit(tensor, gain, sink);
  }

  Status emit(const io::PlannedTensor& tensor, std::span<const float> values, const io::ByteSink& sink) {
    std::vector<std::byte> bytes;
    QUERNEL_TRY_STATUS(exporting::narrow_values(values, tensor.dtype, tensor.name, bytes));
    return sink(bytes);
  }

  // Files list tensors by type, then by name: a layer is met once, or once a type.
  Status load_layer(std::int64_t index) {
    if (layer_.has_value() && layer_->index == index) return {};
    QUERNEL_TRY(layer_, runtime::load_layer(checkpoint_, index));
    change_.change_layer(*layer_, pool_);
    for (const model::LinearModule& module : *modules_[static_cast<std::size_t>(index)])
      checkpoint_.release(module.name + ".weight");
    sys::ProgressEvent event;
    event.stage = "prepare";
    event.item = fmt::format("layer {}", index);
    event.done = ++layers_met_;
    event.total = checkpoint_.config().num_layers;
    if (event.done == event.total) progress_.on_progress(event);
    return {};
  }

  const LoadedSource& source_;
  const model::Checkpoint& checkpoint_;
  const transform::ModelChange& change_;
  sys::ThreadPool& pool_;
  sys::ProgressSink& progress_;
  runtime::EndWeights ends_;
  std::vector<std::unique_ptr<std::vector<model::LinearModule>>> modules_;  // by layer; places_ point into them
  std::map<std::string, LayerPlace> places_;
  std::optional<runtime::LayerWeights> layer_;
  std::int64_t layers_met_ = 0;
};

}  // namespace

Status write_prepared(const LoadedSource& source, const transform::ModelChange& change, const std::string& folder,
                      sys::ThreadPool& pool, sys::ProgressSink& progress) {
  return Writer(source, change, pool, progress).write(folder);
}

bool keeps_fp32(const LoadedSource& source) {
  if (source.checkpoint.kind() == model::CheckpointKind::gguf) return false;
  const auto& tensors = source.checkpoint.tensors();
  return std::all_of(tensors.begin(), tensors.end(),
                     [](const model::TensorInfo& tensor) { return tensor.stored_type == "F32"; });
}

}  // namespace quernel::pipeline
