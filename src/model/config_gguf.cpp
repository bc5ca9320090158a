#include "model/config_gguf.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "model/architectures.h"
#include "model/config_json.h"
#include "model/gguf_fields.h"
#include "model/rope_recover.h"

namespace quernel::model {

namespace {

constexpr const char* kRopeTable = "rope_freqs.weight";

Error missing_tensor(const io::GgufFile& file, const std::string& name) {
  return Error(Fault::corrupt, "tensor is missing").in_file(file.path()).in_tensor(name);
}

// Rows of the embedding: tokenizers may be shorter, A.vocab_size may be absent.
Result<std::int64_t> vocab_size(const io::GgufFile& file) {
  const io::GgufTensor* embedding = file.find("token_embd.weight");
  if (embedding == nullptr) return missing_tensor(file, "token_embd.weight");
  if (embedding->shape.size() != 2)
    return Error(Fault::corrupt, "embedding is not a matrix").in_file(file.path()).in_tensor("token_embd.weight");
  return embedding->shape[0];
}

Status refuse_experts(const GgufFields& fields) {
  QUERNEL_TRY(const std::int64_t experts, fields.integer_or("expert_count", 0));
  if (experts == 0) return ok_status();
  return Error(Fault::unsupported, "mixtures of experts are not supported")
      .in_file(fields.file().path())
      .in_field(fields.full_key("expert_count"))
      .expect("0", std::to_string(experts));
}

Status fill_sizes(const GgufFields& fields, Json& json) {
  QUERNEL_TRY(json["hidden_size"], fields.integer("embedding_length"));
  QUERNEL_TRY(json["intermediate_size"], fields.integer("feed_forward_length"));
  QUERNEL_TRY(json["num_hidden_layers"], fields.integer("block_count"));
  QUERNEL_TRY(const std::int64_t heads, fields.integer("attention.head_count"));
  json["num_attention_heads"] = heads;
  QUERNEL_TRY(json["num_key_value_heads"], fields.integer_or("attention.head_count_kv", heads));
  const std::int64_t hidden = json["hidden_size"].get<std::int64_t>();
  const bool divides = heads > 0 && hidden % heads == 0;
  // Without a length of its own a head takes its share; a wrong head count is refused with the rest of config.json.
  QUERNEL_TRY(const std::int64_t head_dim, fields.integer_or("attention.key_length", divides ? hidden / heads : 0));
  QUERNEL_TRY(const std::int64_t value_dim, fields.integer_or("attention.value_length", head_dim));
  if (value_dim != head_dim)
    return Error(Fault::unsupported, "values of another length than keys are not supported")
        .in_file(fields.file().path())
        .in_field(fields.full_key("attention.value_length"))
        .expect(std::to_string(head_dim), std::to_string(value_dim));
  json["head_dim"] = head_dim;
  QUERNEL_TRY(json["vocab_size"], vocab_size(fields.file()));
  QUERNEL_TRY(json["max_position_embeddings"], fields.integer("context_length"));
  QUERNEL_TRY(json["rms_norm_eps"], fields.number("attention.layer_norm_rms_epsilon"));
  return ok_status();
}

// llama.cpp multiplies cos and sin by attn_factor and by the YaRN paper's 0.1 ln(factor) + 1.
Status fill_yarn(const GgufFields& fields, double factor, Json& rope) {
  QUERNEL_TRY(const double attention, fields.number_or("rope.scaling.attn_factor", 1.0));
  QUERNEL_TRY(const std::int64_t original, fields.integer("rope.scaling.original_context_length"));
  rope["original_max_position_embeddings"] = original;
  if (attention != 1.0) rope["attention_factor"] = attention * (0.1 * std::log(factor) + 1.0);
  for (const char* key : {"beta_fast", "beta_slow"}) {
    const std::string full = std::string("rope.scaling.yarn_") + key;
    if (!fields.has(full)) continue;
    QUERNEL_TRY(rope[key], fields.number(full));
  }
  return ok_status();
}

Result<Json> rope_parameters(const GgufFields& fields) {
  QUERNEL_TRY(const double theta, fields.number_or("rope.freq_base", 10000.0));
  // Files of 2023 have one linear factor and no type.
  const char* old_factor = "rope.scale_linear";
  const bool old_style = !fields.has("rope.scaling.type") && fields.has(old_factor);
  QUERNEL_TRY(const std::string type, fields.string_or("rope.scaling.type", old_style ? "linear" : "none"));
  Json rope{{"rope_type", type == "none" ? "default" : type}, {"rope_theta", theta}};
  if (type == "none") return rope;
  QUERNEL_TRY(const double factor, fields.number_or(old_style ? old_factor : "rope.scaling.factor", 1.0));
  rope["factor"] = factor;
  if (type == "yarn") QUERNEL_TRY_STATUS(fill_yarn(fields, factor, rope));
  return rope;
}

struct GgufBiases {
  bool qkv = false;
  bool out = false;
  bool mlp = false;
};

// The first layer speaks for all; a file without the others' is refused when its tensors are checked.
GgufBiases find_biases(const io::GgufFile& file) {
  const auto has = [&file](const char* name) { return file.find(std::string("blk.0.") + name + ".bias") != nullptr; };
  return {has("attn_q") || has("attn_qkv"), has("attn_output"), has("ffn_up") || has("ffn_gate") || has("ffn_down")};
}

Status fill_tokens(const io::GgufFile& file, Json& json) {
  const GgufFields fields(file, "tokenizer.ggml.");
  for (const auto& [gguf, hf] : {std::pair{"bos_token_id", "bos_token_id"}, {"padding_token_id", "pad_token_id"}}) {
    json[hf] = nullptr;
    if (!fields.has(gguf)) continue;
    QUERNEL_TRY(json[hf], fields.integer(gguf));
  }
  // Ends of the text, of a turn and of a message: Hugging Face files list them all as eos.
  std::vector<std::int64_t> stops;
  for (const char* key : {"eos_token_id", "eot_token_id", "eom_token_id"}) {
    if (!fields.has(key)) continue;
    QUERNEL_TRY(const std::int64_t id, fields.integer(key));
    if (std::ranges::find(stops, id) == stops.end()) stops.push_back(id);
  }
  json["eos_token_id"] = stops.empty() ? Json(nullptr) : stops.size() == 1 ? Json(stops.front()) : Json(stops);
  return ok_status();
}

Result<Json> make_json(const io::GgufFile& file, const Architecture& row, const GgufBiases& biases) {
  const GgufFields fields(file, std::string(row.gguf_name) + ".");
  Json json;
  json["architectures"] = Json::array({row.hf_name});
  json["model_type"] = row.hf_model_type;
  QUERNEL_TRY_STATUS(refuse_experts(fields));
  QUERNEL_TRY_STATUS(fill_sizes(fields, json));
  json[std::string(row.activation_field)] = row.activation;
  if (row.reads_attention_bias) json["attention_bias"] = biases.qkv && biases.out;
  if (row.reads_mlp_bias) json["mlp_bias"] = biases.mlp;
  json["tie_word_embeddings"] = file.find("output.weight") == nullptr;
  QUERNEL_TRY(json["rope_parameters"], rope_parameters(fields));
  QUERNEL_TRY_STATUS(fill_tokens(file, json));
  json["torch_dtype"] = "float16";
  json["dtype"] = "float16";
  if (row.fill_gguf != nullptr) QUERNEL_TRY_STATUS(row.fill_gguf(fields, json));
  // For readers of before Transformers 5.
  const Json& rope = json["rope_parameters"].contains("full_attention") ? json["rope_parameters"]["full_attention"]
                                                                        : json["rope_parameters"];
  json["rope_theta"] = rope["rope_theta"];
  return json;
}

// The divisors of rope_freqs.weight, one for each rotated pair; empty where the file has no table.
Result<std::vector<float>> read_rope_table(const io::GgufFile& file, const ModelConfig& config) {
  std::vector<float> divisors;
  const io::GgufTensor* table = file.find(kRopeTable);
  if (table == nullptr) return divisors;
  const Shape expected{config.rope.rotary_dim / 2};
  if (table->shape != expected)
    return Error(Fault::corrupt, "table of rope divisors has the wrong length")
        .in_file(file.path())
        .in_tensor(kRopeTable)
        .expect(quernel::to_string(expected), quernel::to_string(table->shape));
  QUERNEL_TRY(const TensorView view, file.view(*table));
  divisors.resize(static_cast<std::size_t>(expected[0]));
  QUERNEL_TRY_STATUS(to_float(view, divisors));
  for (const float divisor : divisors)
    if (!std::isfinite(divisor) || !(divisor > 0.0F))
      return Error(Fault::corrupt, "rope divisor is not positive").in_file(file.path()).in_tensor(kRopeTable);
  return divisors;
}

Status apply_rope_table(const io::GgufFile& file, GgufConfig& out) {
  for (const char* name : {"rope_factors_long.weight", "rope_factors_short.weight"})
    if (file.find(name) != nullptr)
      return Error(Fault::unsupported, "rope type 'longrope' is not supported").in_file(file.path()).in_tensor(name);
  QUERNEL_TRY(const std::vector<float> divisors, read_rope_table(file, out.config));
  if (divisors.empty() || std::ranges::all_of(divisors, [](float divisor) { return divisor == 1.0F; }))
    return ok_status();
  if (out.config.rope.scaling != RopeScaling::none)
    return Error(Fault::unsupported, "a table of rope divisors beside another rope scaling is not supported")
        .in_file(file.path())
        .in_tensor(kRopeTable);
  out.config.rope.frequency_factors = divisors;
  const std::optional<Llama3Scaling> scaling = recover_llama3(divisors, out.config.rope.theta);
  Json& rope = out.json["rope_parameters"];
  if (!scaling || !rope.contains("rope_theta")) {
    out.obstacle = "rope_freqs.weight follows no rule that config.json has a name for";
    return ok_status();
  }
  rope["rope_type"] = "llama3";
  rope["factor"] = scaling->factor;
  rope["low_freq_factor"] = scaling->low_freq_factor;
  rope["high_freq_factor"] = scaling->high_freq_factor;
  rope["original_max_position_embeddings"] = static_cast<std::int64_t>(scaling->original_context);
  return ok_status();
}

// Biases that the family's config.json has no field for. Those that it always has are left to the check of tensors.
void add_biases(const GgufBiases& biases, GgufConfig& out) {
  ModelConfig& config = out.config;
  const bool known =
      (config.qkv_bias || !biases.qkv) && (config.out_bias || !biases.out) && (config.mlp_bias || !biases.mlp);
  if (known) return;
  config.qkv_bias |= biases.qkv;
  config.out_bias |= biases.out;
  config.mlp_bias |= biases.mlp;
  out.obstacle = fmt::format("the file has biases that a {} cannot have", config.architecture);
}

}  // namespace

Result<GgufConfig> config_from_gguf(const io::GgufFile& file) {
  const GgufFields general(file, "general.");
  QUERNEL_TRY(const std::string name, general.string("architecture"));
  Result<const Architecture*> row = find_gguf_architecture(name);
  if (!row.ok()) return std::move(row).error().in_file(file.path());
  const GgufBiases biases = find_biases(file);
  GgufConfig out;
  QUERNEL_TRY(out.json, make_json(file, **row, biases));
  QUERNEL_TRY(out.config, config_from_json(out.json, file.path()));
  QUERNEL_TRY_STATUS(apply_rope_table(file, out));
  add_biases(biases, out);
  return out;
}

}  // namespace quernel::model
