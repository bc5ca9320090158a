#include "model/config_json.h"

#include <algorithm>
#include <cmath>

#include "model/architectures.h"
#include "model/json_fields.h"
#include "model/rope_config.h"

namespace quernel::model {

namespace {

Result<std::int64_t> bounded(Result<std::int64_t> value, const std::string& key, std::int64_t most) {
  if (!value.ok()) return value;
  if (*value < 1 || *value > most)
    return Error(Fault::corrupt, "value out of bounds")
        .in_field(key)
        .expect(fmt::format("1 .. {}", most), std::to_string(*value));
  return value;
}

// A required field, or one that the family has a default for (above 0).
Result<std::int64_t> read_size(const Json& json, const std::string& key, std::int64_t fallback, std::int64_t most) {
  if (fallback > 0 && !json.contains(key)) return fallback;
  return bounded(json_int(json, key), key, most);
}

Status read_heads(const Json& json, const ConfigDefaults& defaults, ModelConfig& config) {
  QUERNEL_TRY(config.num_heads, read_size(json, "num_attention_heads", defaults.num_heads, kMaxHeads));
  const OptionalInt kv_default = defaults.num_kv_heads > 0 ? OptionalInt{defaults.num_kv_heads} : OptionalInt{};
  QUERNEL_TRY(const OptionalInt kv_heads, json_optional_int(json, "num_key_value_heads", kv_default));
  QUERNEL_TRY(config.num_kv_heads, bounded(kv_heads.value_or(config.num_heads), "num_key_value_heads", kMaxHeads));
  if (config.num_heads % config.num_kv_heads != 0)
    return Error(Fault::corrupt, "query heads do not divide over the key-value heads")
        .in_field("num_key_value_heads")
        .expect(fmt::format("a divisor of {}", config.num_heads), std::to_string(config.num_kv_heads));
  const OptionalInt dim_default = defaults.head_dim > 0 ? OptionalInt{defaults.head_dim} : OptionalInt{};
  QUERNEL_TRY(const OptionalInt head_dim, json_optional_int(json, "head_dim", dim_default));
  if (!head_dim && config.hidden_size % config.num_heads != 0)
    return Error(Fault::corrupt, "hidden_size does not divide over the heads and head_dim is absent")
        .in_field("num_attention_heads")
        .expect(fmt::format("a divisor of {}", config.hidden_size), std::to_string(config.num_heads));
  QUERNEL_TRY(config.head_dim,
              bounded(head_dim.value_or(config.hidden_size / config.num_heads), "head_dim", kMaxHeadDim));
  if (config.head_dim % 2 != 0)
    return Error(Fault::corrupt, "head_dim is odd")
        .in_field("head_dim")
        .expect("an even number", std::to_string(config.head_dim));
  if (config.q_size() > kMaxWidth)
    return Error(Fault::corrupt, "heads times head_dim is out of bounds")
        .in_field("head_dim")
        .expect(fmt::format("at most {}", kMaxWidth), std::to_string(config.q_size()));
  config.attention_scale = 1.0 / std::sqrt(static_cast<double>(config.head_dim));
  return ok_status();
}

Status read_activation(const Json& json, const Architecture& row, ModelConfig& config) {
  const std::string key(row.activation_field);
  QUERNEL_TRY(const std::string name, json_string_or(json, key, std::string(row.activation)));
  if (name == "silu" || name == "swish") {
    config.activation = Activation::silu;
  } else if (name == "gelu_pytorch_tanh" || name == "gelu_new" || name == "gelu_fast") {
    config.activation = Activation::gelu_tanh;  // three names, one formula
  } else {
    return Error(Fault::unsupported, fmt::format("activation '{}' is not supported", name))
        .in_field(key)
        .expect("silu or gelu_pytorch_tanh", name);
  }
  return ok_status();
}

Status read_sizes(const Json& json, const Architecture& row, ModelConfig& config) {
  const ConfigDefaults& defaults = row.defaults;
  QUERNEL_TRY(config.hidden_size, read_size(json, "hidden_size", 0, kMaxWidth));
  QUERNEL_TRY(config.intermediate_size, read_size(json, "intermediate_size", 0, kMaxIntermediateSize));
  QUERNEL_TRY(config.num_layers, read_size(json, "num_hidden_layers", 0, kMaxLayers));
  QUERNEL_TRY(config.vocab_size, read_size(json, "vocab_size", defaults.vocab_size, kMaxVocabSize));
  QUERNEL_TRY(config.max_positions, read_size(json, "max_position_embeddings", defaults.max_positions, kMaxPositions));
  config.layers.resize(static_cast<std::size_t>(config.num_layers));
  return read_heads(json, defaults, config);
}

Status read_constants(const Json& json, const Architecture& row, ModelConfig& config) {
  QUERNEL_TRY(config.rms_norm_eps, json_finite_or(json, "rms_norm_eps", row.defaults.rms_norm_eps));
  if (!(config.rms_norm_eps >= 0.0 && config.rms_norm_eps < 1.0))
    return Error(Fault::corrupt, "rms_norm_eps out of bounds")
        .in_field("rms_norm_eps")
        .expect("0 .. 1", fmt::format("{}", config.rms_norm_eps));
  QUERNEL_TRY(config.tie_word_embeddings, json_bool_or(json, "tie_word_embeddings", row.defaults.tie_word_embeddings));
  if (row.reads_attention_bias) {
    QUERNEL_TRY(config.qkv_bias, json_bool_or(json, "attention_bias", false));
    config.out_bias = config.qkv_bias;
  }
  if (row.reads_mlp_bias) {
    QUERNEL_TRY(config.mlp_bias, json_bool_or(json, "mlp_bias", false));
  }
  return read_activation(json, row, config);
}

Status read_tokens(const Json& json, const ConfigDefaults& defaults, ModelConfig& config) {
  const auto exists = [&config](std::int64_t id) { return id >= 0 && id < config.vocab_size; };
  QUERNEL_TRY(const std::vector<std::int64_t> bos, json_int_list(json, "bos_token_id", defaults.bos));
  if (!bos.empty() && exists(bos.front())) config.bos_token_id = bos.front();
  // An id outside the vocabulary can never be produced; files use -1 for "none".
  QUERNEL_TRY(config.eos_token_ids, json_int_list(json, "eos_token_id", defaults.eos));
  std::erase_if(config.eos_token_ids, [&](std::int64_t id) { return !exists(id); });
  return ok_status();
}

Status read_dtype(const Json& json, ModelConfig& config) {
  const char* key = json_member(json, "dtype") != nullptr ? "dtype" : "torch_dtype";
  QUERNEL_TRY(config.stored_dtype, json_string_or(json, key, ""));
  constexpr std::string_view kPrefix = "torch.";
  if (config.stored_dtype.starts_with(kPrefix)) config.stored_dtype.erase(0, kPrefix.size());
  return ok_status();
}

// What only our own runtime does. An unknown key may change what the model computes, so it is refused.
Status read_online_transforms(const Json& json, ModelConfig& config) {
  const Json* object = json_member(json, "quernel_runtime");
  if (object == nullptr) return ok_status();
  if (!object->is_object())
    return Error(Fault::corrupt, "not an object")
        .in_field("quernel_runtime")
        .expect("an object", json_excerpt(*object));
  for (const auto& [key, value] : object->items()) {
    const std::string field = "quernel_runtime." + key;
    bool* flag = key == "online_qk_hadamard"     ? &config.online_qk_hadamard
                 : key == "online_down_hadamard" ? &config.online_down_hadamard
                                                 : nullptr;
    if (flag == nullptr)
      return Error(Fault::unsupported, "a transform at run time that this version does not know").in_field(field);
    if (!value.is_boolean())
      return Error(Fault::corrupt, "not a truth value").in_field(field).expect("true or false", json_excerpt(value));
    *flag = value.get<bool>();
  }
  return ok_status();
}

Result<ModelConfig> read_config(const Json& json) {
  QUERNEL_TRY(const Architecture* row, find_architecture(json));
  ModelConfig config;
  config.architecture = row->hf_name;
  config.family = row->family;
  QUERNEL_TRY_STATUS(read_sizes(json, *row, config));
  QUERNEL_TRY_STATUS(read_constants(json, *row, config));
  QUERNEL_TRY_STATUS(read_tokens(json, row->defaults, config));
  QUERNEL_TRY_STATUS(read_dtype(json, config));
  QUERNEL_TRY_STATUS(row->fill(json, config));
  QUERNEL_TRY_STATUS(read_rope(json, *row, config));
  QUERNEL_TRY_STATUS(read_online_transforms(json, config));
  return config;
}

Result<Json> unwrap(const Json& json) {
  QUERNEL_TRY(const Architecture* row, find_architecture(json));
  const Json* names = json_member(json, "architectures");  // null in configurations saved without a model
  const bool wrapped = !row->hf_wrapper.empty() && names != nullptr && names->front() == std::string(row->hf_wrapper);
  if (!wrapped) return json;
  const Json* text = json_member(json, "text_config");
  if (text == nullptr || !text->is_object())
    return Error(Fault::not_found, "multimodal configuration has no text model").in_field("text_config");
  Json inner = *text;
  inner["architectures"] = Json::array({row->hf_name});
  inner["model_type"] = row->hf_model_type;
  // The wrapper decides over the head; the rest is taken from it where the inner object is silent.
  if (json_member(json, "tie_word_embeddings") != nullptr) inner["tie_word_embeddings"] = json["tie_word_embeddings"];
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id", "torch_dtype", "dtype",
                          "transformers_version", "quantization_config", "quernel_runtime"})
    if (json.contains(key) && json_member(inner, key) == nullptr) inner[key] = json[key];
  return inner;
}

}  // namespace

Result<Json> text_config_json(const Json& json, const std::string& file) {
  Result<Json> inner = unwrap(json);
  if (!inner.ok()) return std::move(inner).error().in_file(file);
  return inner;
}

Result<ModelConfig> config_from_json(const Json& json, const std::string& file) {
  QUERNEL_TRY(const Json inner, text_config_json(json, file));
  Result<ModelConfig> config = read_config(inner);
  if (!config.ok()) return std::move(config).error().in_file(file);
  return config;
}

}  // namespace quernel::model
