#include "model/architectures.h"

#include <array>
#include <cmath>
#include <utility>

#include "model/gguf_fields.h"
#include "model/json_fields.h"
#include "model/layer_types.h"

namespace quernel::model {

namespace {

Status refuse_bidirectional(const Json& json) {
  QUERNEL_TRY(const bool both_ways, json_bool_or(json, "use_bidirectional_attention", false));
  if (!both_ways) return ok_status();
  return Error(Fault::unsupported, "attention in both directions is not supported")
      .in_field("use_bidirectional_attention");
}

Status fill_llama(const Json&, ModelConfig&) { return ok_status(); }

Status fill_mistral(const Json& json, ModelConfig& config) { return read_window_everywhere(json, 4096, config); }

Status fill_qwen2(const Json& json, ModelConfig& config) {
  config.qkv_bias = true;
  return read_late_windows(json, 4096, 28, config);
}

Status fill_qwen3(const Json& json, ModelConfig& config) {
  config.qk_norm_per_head = true;
  return read_late_windows(json, 4096, 28, config);
}

// What both Gemmas share; `pattern` is the period of full-attention layers where layer_types is absent.
Status fill_gemma(const Json& json, std::int64_t pattern, double default_attention_cap, double default_logit_cap,
                  ModelConfig& config) {
  QUERNEL_TRY_STATUS(refuse_bidirectional(json));
  config.norm_after = true;
  config.norm_adds_one = true;
  config.embedding_scale = std::sqrt(static_cast<double>(config.hidden_size));
  QUERNEL_TRY(const double query_scalar, json_finite_or(json, "query_pre_attn_scalar", 256.0));
  if (!(query_scalar > 0.0))
    return Error(Fault::corrupt, "query_pre_attn_scalar is not positive").in_field("query_pre_attn_scalar");
  config.attention_scale = 1.0 / std::sqrt(query_scalar);
  const auto cap = [&json](const char* key, double fallback) -> Result<double> {
    return json_finite_or(json, key, json.contains(key) ? 0.0 : fallback);  // null: none
  };
  QUERNEL_TRY(config.attention_softcap, cap("attn_logit_softcapping", default_attention_cap));
  QUERNEL_TRY(config.logit_softcap, cap("final_logit_softcapping", default_logit_cap));
  return read_periodic_windows(json, 4096, pattern, config);
}

Status fill_gemma2(const Json& json, ModelConfig& config) { return fill_gemma(json, 2, 50.0, 30.0, config); }

Status fill_gemma3(const Json& json, ModelConfig& config) {
  config.qk_norm_per_head = true;
  QUERNEL_TRY(const std::int64_t pattern, json_int_or(json, "sliding_window_pattern", 6));
  if (pattern < 1)
    return Error(Fault::corrupt, "sliding_window_pattern is not positive").in_field("sliding_window_pattern");
  return fill_gemma(json, pattern, 0.0, 0.0, config);
}

Status fill_phi3(const Json& json, ModelConfig& config) {
  config.fused_qkv = true;
  config.fused_gate_up = true;
  return read_window_everywhere(json, OptionalInt{}, config);
}

Status fill_smollm3(const Json& json, ModelConfig& config) { return read_unrotated_layers(json, config); }

Status fill_olmo2(const Json&, ModelConfig& config) {
  config.norm_before = false;
  config.norm_after = true;
  config.qk_norm_full = true;
  return ok_status();
}

Status fill_granite(const Json& json, ModelConfig& config) {
  QUERNEL_TRY(config.embedding_scale, json_finite_or(json, "embedding_multiplier", 1.0));
  QUERNEL_TRY(config.residual_scale, json_finite_or(json, "residual_multiplier", 1.0));
  QUERNEL_TRY(config.attention_scale, json_finite_or(json, "attention_multiplier", 1.0));
  QUERNEL_TRY(const double logits_scaling, json_finite_or(json, "logits_scaling", 1.0));
  if (logits_scaling == 0.0) return Error(Fault::corrupt, "logits_scaling is zero").in_field("logits_scaling");
  config.logit_scale = 1.0 / logits_scaling;
  return ok_status();
}

// Layers at which llama.cpp takes a Gemma for the 27B size, whose queries are scaled by hidden_size / heads.
constexpr std::int64_t kGemma2Layers27B = 46;
constexpr std::int64_t kGemma3Layers27B = 62;

// GGUF has no key for the query scale; llama.cpp derives it from the size of the model.
Status gguf_query_scalar(std::int64_t layers_27b, Json& json) {
  const bool is_27b = json["num_hidden_layers"] == layers_27b;
  const std::int64_t heads = json["num_attention_heads"].get<std::int64_t>();
  json["query_pre_attn_scalar"] =
      is_27b && heads > 0 ? json["hidden_size"].get<std::int64_t>() / heads : json["head_dim"].get<std::int64_t>();
  return ok_status();
}

Status gguf_gemma2(const GgufFields& fields, Json& json) {
  QUERNEL_TRY(json["sliding_window"], fields.integer_or("attention.sliding_window", 4096));
  QUERNEL_TRY(json["attn_logit_softcapping"], fields.number_or("attn_logit_softcapping", 50.0));
  QUERNEL_TRY(json["final_logit_softcapping"], fields.number_or("final_logit_softcapping", 30.0));
  return gguf_query_scalar(kGemma2Layers27B, json);
}

Status gguf_gemma3(const GgufFields& fields, Json& json) {
  QUERNEL_TRY(json["sliding_window"], fields.integer("attention.sliding_window"));
  QUERNEL_TRY(const std::int64_t pattern, fields.integer_or("attention.sliding_window_pattern", 6));
  json["sliding_window_pattern"] = pattern;
  QUERNEL_TRY(const double local_theta, fields.number_or("rope.freq_base_swa", 10000.0));
  Json full = std::exchange(json["rope_parameters"], Json::object());
  json["rope_parameters"]["sliding_attention"] = Json{{"rope_type", "default"}, {"rope_theta", local_theta}};
  json["rope_parameters"]["full_attention"] = std::move(full);
  json["rope_local_base_freq"] = local_theta;
  for (const char* key : {"attn_logit_softcapping", "final_logit_softcapping"}) {
    if (!fields.has(key)) continue;
    QUERNEL_TRY(json[key], fields.number(key));
  }
  return gguf_query_scalar(kGemma3Layers27B, json);
}

Status gguf_phi3(const GgufFields& fields, Json& json) {
  QUERNEL_TRY(const std::int64_t window, fields.integer_or("attention.sliding_window", 0));
  json["sliding_window"] = window > 0 ? Json(window) : Json(nullptr);
  const std::int64_t head_dim = json["head_dim"].get<std::int64_t>();
  QUERNEL_TRY(const std::int64_t rotated, fields.integer_or("rope.dimension_count", head_dim));
  if (head_dim > 0 && rotated != head_dim)
    json["partial_rotary_factor"] = static_cast<double>(rotated) / static_cast<double>(head_dim);
  QUERNEL_TRY(
      json["original_max_position_embeddings"],
      fields.integer_or("rope.scaling.original_context_length", json["max_position_embeddings"].get<std::int64_t>()));
  return ok_status();
}

// llama.cpp skips the rotation of every fourth layer and has no key for it.
Status gguf_smollm3(const GgufFields&, Json& json) {
  json["no_rope_layer_interval"] = 4;
  return ok_status();
}

Status gguf_granite(const GgufFields& fields, Json& json) {
  QUERNEL_TRY(json["embedding_multiplier"], fields.number_or("embedding_scale", 1.0));
  QUERNEL_TRY(json["residual_multiplier"], fields.number_or("residual_scale", 1.0));
  QUERNEL_TRY(json["logits_scaling"], fields.number_or("logit_scale", 1.0));
  const double head_dim = static_cast<double>(json["head_dim"].get<std::int64_t>());
  QUERNEL_TRY(json["attention_multiplier"], fields.number_or("attention.scale", 1.0 / std::sqrt(head_dim)));
  return ok_status();
}

// Qwen writes a window into its files and switches it off beside it; a GGUF file has neither.
Status gguf_qwen(const GgufFields&, Json& json) {
  json["use_sliding_window"] = false;
  return ok_status();
}

constexpr std::array kArchitectures{
    Architecture{.family = "llama",
                 .hf_name = "LlamaForCausalLM",
                 .hf_model_type = "llama",
                 .gguf_name = "llama",
                 .defaults = {.bos = 1, .eos = 2},
                 .reads_attention_bias = true,
                 .reads_mlp_bias = true,
                 .gguf_rope_pairs = true,
                 .fill = fill_llama},
    Architecture{.family = "mistral",  // GGUF files of Mistral say "llama"
                 .hf_name = "MistralForCausalLM",
                 .hf_model_type = "mistral",
                 .defaults = {.num_kv_heads = 8, .bos = 1, .eos = 2},
                 .fill = fill_mistral},
    Architecture{.family = "qwen2",
                 .hf_name = "Qwen2ForCausalLM",
                 .hf_model_type = "qwen2",
                 .gguf_name = "qwen2",
                 .defaults = {.num_kv_heads = 32},
                 .fill = fill_qwen2,
                 .fill_gguf = gguf_qwen},
    Architecture{.family = "qwen3",
                 .hf_name = "Qwen3ForCausalLM",
                 .hf_model_type = "qwen3",
                 .gguf_name = "qwen3",
                 .defaults = {.num_kv_heads = 32, .head_dim = 128},
                 .reads_attention_bias = true,
                 .fill = fill_qwen3,
                 .fill_gguf = gguf_qwen},
    Architecture{.family = "gemma2",
                 .hf_name = "Gemma2ForCausalLM",
                 .hf_model_type = "gemma2",
                 .gguf_name = "gemma2",
                 .defaults = {.num_kv_heads = 4, .head_dim = 256, .tie_word_embeddings = true, .bos = 2, .eos = 1},
                 .activation_field = "hidden_activation",
                 .activation = "gelu_pytorch_tanh",
                 .reads_attention_bias = true,
                 .gguf_norm_plus_one = true,
                 .fill = fill_gemma2,
                 .fill_gguf = gguf_gemma2},
    // Published wrappers leave out of text_config what has its default.
    Architecture{.family = "gemma3",
                 .hf_name = "Gemma3ForCausalLM",
                 .hf_model_type = "gemma3_text",
                 .hf_wrapper = "Gemma3ForConditionalGeneration",
                 .gguf_name = "gemma3",
                 .defaults = {.num_heads = 8,
                              .num_kv_heads = 4,
                              .head_dim = 256,
                              .vocab_size = 262208,
                              .max_positions = 131072,
                              .rope_theta = 1e6,
                              .rope_theta_local = 1e4,
                              .tie_word_embeddings = true,
                              .bos = 2,
                              .eos = 1},
                 .activation_field = "hidden_activation",
                 .activation = "gelu_pytorch_tanh",
                 .reads_attention_bias = true,
                 .gguf_norm_plus_one = true,
                 .fill = fill_gemma3,
                 .fill_gguf = gguf_gemma3},
    Architecture{.family = "phi3",
                 .hf_name = "Phi3ForCausalLM",
                 .hf_model_type = "phi3",
                 .gguf_name = "phi3",
                 .defaults = {.rms_norm_eps = 1e-5, .bos = 1, .eos = 32000},
                 .partial_rotary = true,
                 .fill = fill_phi3,
                 .fill_gguf = gguf_phi3},
    Architecture{
        .family = "smollm3",
        .hf_name = "SmolLM3ForCausalLM",
        .hf_model_type = "smollm3",
        .gguf_name = "smollm3",
        .defaults = {.num_kv_heads = 4, .rope_theta = 2e6, .tie_word_embeddings = true, .bos = 128000, .eos = 128001},
        .reads_attention_bias = true,
        .reads_mlp_bias = true,
        .gguf_rope_pairs = true,
        .fill = fill_smollm3,
        .fill_gguf = gguf_smollm3},
    Architecture{.family = "olmo2",
                 .hf_name = "Olmo2ForCausalLM",
                 .hf_model_type = "olmo2",
                 .gguf_name = "olmo2",
                 .defaults = {.rms_norm_eps = 1e-5, .eos = 50279},
                 .reads_attention_bias = true,
                 .fill = fill_olmo2},
    Architecture{.family = "granite",
                 .hf_name = "GraniteForCausalLM",
                 .hf_model_type = "granite",
                 .gguf_name = "granite",
                 .defaults = {.bos = 1, .eos = 2},
                 .reads_attention_bias = true,
                 .reads_mlp_bias = true,
                 .gguf_rope_pairs = true,
                 .fill = fill_granite,
                 .fill_gguf = gguf_granite},
};

Error unsupported_architecture(const std::string& name, const std::string& field) {
  return Error(Fault::unsupported, fmt::format("architecture '{}' is not supported", name))
      .in_field(field)
      .expect(supported_architectures(), name);
}

Result<std::string> first_architecture(const Json& json) {
  const Json* names = json_member(json, "architectures");
  if (names == nullptr) return std::string();
  if (!names->is_array() || names->empty() || !names->front().is_string())
    return Error(Fault::corrupt, "architectures is not a list of names")
        .in_field("architectures")
        .expect("a list of names", json_excerpt(*names));
  return names->front().get<std::string>();
}

}  // namespace

std::span<const Architecture> architectures() { return kArchitectures; }

std::string supported_architectures() {
  std::string names;
  for (const Architecture& row : kArchitectures) names += fmt::format("{}{}", names.empty() ? "" : ", ", row.hf_name);
  return names;
}

Result<const Architecture*> find_architecture(const Json& json) {
  if (!json.is_object())
    return Error(Fault::corrupt, "configuration is not an object").expect("an object", json_excerpt(json));
  QUERNEL_TRY(const std::string name, first_architecture(json));
  QUERNEL_TRY(const std::string type, json_string_or(json, "model_type", ""));
  if (name.empty() && type.empty())
    return Error(Fault::not_found, "configuration names no architecture").in_field("architectures");
  for (const Architecture& row : kArchitectures) {
    const bool wrapped = !row.hf_wrapper.empty() && name == row.hf_wrapper;
    if (wrapped || (name.empty() && type == row.hf_model_type)) return &row;
    if (name != row.hf_name) continue;
    if (type.empty() || type == row.hf_model_type) return &row;
    return Error(Fault::corrupt, "architectures and model_type contradict each other")
        .in_field("model_type")
        .expect(fmt::format("{} for {}", row.hf_model_type, name), type);
  }
  return unsupported_architecture(name.empty() ? type : name, name.empty() ? "model_type" : "architectures");
}

Result<const Architecture*> find_gguf_architecture(const std::string& name) {
  for (const Architecture& row : kArchitectures)
    if (!row.gguf_name.empty() && row.gguf_name == name) return &row;
  return unsupported_architecture(name, "general.architecture");
}

const Architecture& architecture_of(const ModelConfig& config) {
  for (const Architecture& row : kArchitectures)
    if (row.family == config.family) return row;
  QUERNEL_CHECK(false, "no architecture of family '{}'", config.family);
  return kArchitectures.front();
}

}  // namespace quernel::model
