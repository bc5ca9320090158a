#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <string>

#include "api/failure.h"
#include "base/json.h"
#include "model/checkpoint.h"
#include "quernel/quernel.h"
#include "sys/memory.h"

namespace quernel::api {

namespace {

struct TypeTotal {
  std::int64_t tensors = 0;
  std::int64_t elements = 0;
  std::uint64_t bytes = 0;
};

std::int64_t elements_of(const Shape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  return count;
}

Json config_json(const model::ModelConfig& config) {
  return {{"architecture", config.architecture},
          {"family", config.family},
          {"layers", config.num_layers},
          {"hidden_size", config.hidden_size},
          {"intermediate_size", config.intermediate_size},
          {"heads", config.num_heads},
          {"kv_heads", config.num_kv_heads},
          {"head_dim", config.head_dim},
          {"vocab_size", config.vocab_size},
          {"max_positions", config.max_positions},
          {"rope_theta", config.rope.theta},
          {"tied_embeddings", config.tie_word_embeddings}};
}

Json quantization_json(const model::QuantizationInfo& info) {
  return {{"method", info.method},         {"bits", info.bits},
          {"group_size", info.group_size}, {"symmetric", info.symmetric},
          {"act_order", info.act_order},   {"scale_dtype", std::string(to_string(info.scale_dtype))}};
}

// Weights of the blocks' linears, however they are stored, and the bytes that hold them.
struct DecoderTotal {
  std::int64_t weights = 0;
  std::uint64_t bytes = 0;
};

DecoderTotal decoder_total(const model::Checkpoint& checkpoint) {
  DecoderTotal total;
  for (std::int64_t layer = 0; layer < checkpoint.config().num_layers; ++layer)
    for (const model::LinearModule& module : model::linear_modules(checkpoint.config(), layer)) {
      total.weights += module.rows * module.cols;
      for (const model::TensorInfo& tensor : checkpoint.tensors())
        if (tensor.name.starts_with(module.name + ".") && !tensor.name.ends_with(".bias")) total.bytes += tensor.bytes;
    }
  return total;
}

}  // namespace

Report inspect(const std::string& path) {
  const model::Checkpoint checkpoint = take(model::Checkpoint::open(path));
  std::map<std::string, TypeTotal> types;
  Json tensors = Json::array();
  std::uint64_t bytes = 0;
  for (const model::TensorInfo& tensor : checkpoint.tensors()) {
    TypeTotal& total = types[tensor.stored_type];
    ++total.tensors;
    total.elements += elements_of(tensor.shape);
    total.bytes += tensor.bytes;
    bytes += tensor.bytes;
    tensors.push_back(
        {{"name", tensor.name}, {"shape", tensor.shape}, {"type", tensor.stored_type}, {"bytes", tensor.bytes}});
  }
  const DecoderTotal decoder = decoder_total(checkpoint);
  const double bits =
      decoder.weights > 0 ? 8.0 * static_cast<double>(decoder.bytes) / static_cast<double>(decoder.weights) : 0;

  Json json{{"path", path},
            {"kind", checkpoint.kind() == model::CheckpointKind::gguf ? "gguf" : "hugging_face"},
            {"config", config_json(checkpoint.config())},
            {"bytes", bytes},
            {"decoder_weights", decoder.weights},
            {"decoder_bits_per_weight", bits}};
  json["quantization"] =
      checkpoint.quantization().has_value() ? quantization_json(*checkpoint.quantization()) : Json(nullptr);
  json["extra_tensors"] = checkpoint.extra_tensors();

  const model::ModelConfig& config = checkpoint.config();
  Report report;
  auto out = std::back_inserter(report.text);
  fmt::format_to(out, "{}\n  {} ({} layers, width {}, FFN {}, {}/{} heads of {}, vocabulary {}, context {}{})\n", path,
                 config.architecture, config.num_layers, config.hidden_size, config.intermediate_size, config.num_heads,
                 config.num_kv_heads, config.head_dim, config.vocab_size, config.max_positions,
                 config.tie_word_embeddings ? ", tied head" : "");
  if (const auto& info = checkpoint.quantization(); info.has_value())
    fmt::format_to(out, "  quantized: {} {} bit, group {}, {}{}\n", info->method, info->bits, info->group_size,
                   info->symmetric ? "symmetric" : "asymmetric", info->act_order ? ", act-order" : "");
  fmt::format_to(out, "  {} in {} tensors; decoder {:.3f} bits a weight\n", sys::format_bytes(bytes),
                 checkpoint.tensors().size(), bits);
  for (const auto& [type, total] : types)
    fmt::format_to(out, "  {:<6} {:>5} tensors {:>13} values {:>10}\n", type, total.tensors, total.elements,
                   sys::format_bytes(total.bytes));
  for (const std::string& name : checkpoint.extra_tensors())
    fmt::format_to(out, "  not used by the architecture: {}\n", name);
  json["tensors"] = std::move(tensors);
  report.json = dump_json(json, 1);
  return report;
}

}  // namespace quernel::api
