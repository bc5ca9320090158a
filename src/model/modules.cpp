#include "model/modules.h"

#include <fmt/format.h>

#include "base/check.h"

namespace quernel::model {

namespace {

struct PlainModule {
  Linear linear;
  Site site;
  const char* name;
};

constexpr std::array<PlainModule, kNumLinears> kPlainModules{{
    {Linear::q, Site::attention_in, "self_attn.q_proj"},
    {Linear::k, Site::attention_in, "self_attn.k_proj"},
    {Linear::v, Site::attention_in, "self_attn.v_proj"},
    {Linear::o, Site::attention_out, "self_attn.o_proj"},
    {Linear::gate, Site::mlp_in, "mlp.gate_proj"},
    {Linear::up, Site::mlp_in, "mlp.up_proj"},
    {Linear::down, Site::mlp_out, "mlp.down_proj"},
}};

std::int64_t rows_of(const ModelConfig& config, Linear linear) {
  switch (linear) {
    case Linear::q: return config.q_size();
    case Linear::k:
    case Linear::v: return config.kv_size();
    case Linear::o:
    case Linear::down: return config.hidden_size;
    case Linear::gate:
    case Linear::up: return config.intermediate_size;
  }
  return 0;
}

// The module that holds several linears as row ranges, or nothing.
const char* fused_name(const ModelConfig& config, Linear linear) {
  const bool qkv = linear == Linear::q || linear == Linear::k || linear == Linear::v;
  const bool gate_up = linear == Linear::gate || linear == Linear::up;
  if (qkv && config.fused_qkv) return "self_attn.qkv_proj";
  if (gate_up && config.fused_gate_up) return "mlp.gate_up_proj";
  return nullptr;
}

std::string layer_prefix(std::int64_t layer) { return fmt::format("model.layers.{}.", layer); }

void add_norms(const ModelConfig& config, const NormNames& names, std::vector<ExpectedTensor>& out) {
  const auto add = [&out](const std::string& name, std::int64_t size) {
    if (!name.empty()) out.push_back({name, {size}});
  };
  add(names.attention, config.hidden_size);
  add(names.q, config.qk_norm_full ? config.q_size() : config.head_dim);
  add(names.k, config.qk_norm_full ? config.kv_size() : config.head_dim);
  add(names.attention_post, config.hidden_size);
  add(names.mlp, config.hidden_size);
  add(names.mlp_post, config.hidden_size);
}

}  // namespace

const char* to_string(Site site) {
  switch (site) {
    case Site::attention_in: return "attention_in";
    case Site::attention_out: return "attention_out";
    case Site::mlp_in: return "mlp_in";
    case Site::mlp_out: return "mlp_out";
  }
  return "?";
}

std::int64_t site_width(const ModelConfig& config, Site site) {
  switch (site) {
    case Site::attention_in:
    case Site::mlp_in: return config.hidden_size;
    case Site::attention_out: return config.q_size();
    case Site::mlp_out: return config.intermediate_size;
  }
  return 0;
}

bool has_bias(const ModelConfig& config, Linear linear) {
  switch (linear) {
    case Linear::q:
    case Linear::k:
    case Linear::v: return config.qkv_bias;
    case Linear::o: return config.out_bias;
    case Linear::gate:
    case Linear::up:
    case Linear::down: return config.mlp_bias;
  }
  return false;
}

std::vector<LinearModule> linear_modules(const ModelConfig& config, std::int64_t layer) {
  const std::string prefix = layer_prefix(layer);
  std::vector<LinearModule> modules;
  for (const PlainModule& plain : kPlainModules) {
    const char* fused = fused_name(config, plain.linear);
    const std::string name = prefix + (fused != nullptr ? fused : plain.name);
    const std::int64_t rows = rows_of(config, plain.linear);
    if (modules.empty() || modules.back().name != name)
      modules.push_back({name, plain.site, 0, site_width(config, plain.site), {}});
    LinearModule& module = modules.back();
    module.parts.push_back({plain.linear, module.rows, rows});
    module.rows += rows;
  }
  return modules;
}

NormNames norm_names(const ModelConfig& config, std::int64_t layer) {
  const std::string prefix = layer_prefix(layer);
  NormNames names;
  if (config.norm_before) {
    names.attention = prefix + "input_layernorm.weight";
    names.mlp = prefix + (config.norm_after ? "pre_feedforward_layernorm.weight" : "post_attention_layernorm.weight");
  }
  if (config.norm_after) {
    names.attention_post = prefix + "post_attention_layernorm.weight";
    names.mlp_post = prefix + "post_feedforward_layernorm.weight";
  }
  if (config.qk_norm_per_head || config.qk_norm_full) {
    names.q = prefix + "self_attn.q_norm.weight";
    names.k = prefix + "self_attn.k_norm.weight";
  }
  return names;
}

std::vector<ExpectedTensor> expected_tensors(const ModelConfig& config) {
  std::vector<ExpectedTensor> out;
  out.push_back({kEmbeddingTensor, {config.vocab_size, config.hidden_size}});
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
    for (const LinearModule& module : linear_modules(config, layer)) {
      out.push_back({module.name + ".weight", {module.rows, module.cols}, true});
      if (has_bias(config, module.parts.front().linear)) out.push_back({module.name + ".bias", {module.rows}});
    }
    add_norms(config, norm_names(config, layer), out);
  }
  out.push_back({kFinalNormTensor, {config.hidden_size}});
  if (!config.tie_word_embeddings)
    out.push_back({std::string(kHeadModule) + ".weight", {config.vocab_size, config.hidden_size}, true});
  return out;
}

}  // namespace quernel::model
