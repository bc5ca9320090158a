#include "model/tensor_names.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <string_view>

#include "model/architectures.h"
#include "model/modules.h"

namespace quernel::model {

namespace {

struct NamePair {
  std::string_view hf;
  std::string_view gguf;
};

// The norm before the MLP and the one after attention share a Hugging Face name; mlp_norm_name() tells them apart.
constexpr std::array<NamePair, 15> kLayerNames{{
    {"input_layernorm", "attn_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.qkv_proj", "attn_qkv"},
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.gate_up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
    {"pre_feedforward_layernorm", "ffn_norm"},
    {"post_attention_layernorm", "post_attention_norm"},
    {"post_feedforward_layernorm", "post_ffw_norm"},
}};

std::string_view layer_part(const ModelConfig& config, std::string_view hf) {
  if (hf == "post_attention_layernorm" && !config.norm_after) return "ffn_norm";
  for (const NamePair& pair : kLayerNames)
    if (pair.hf == hf) return pair.gguf;
  return {};
}

// "3.mlp.up_proj" -> {3, "mlp.up_proj"}; a negative layer where it is not of that form.
std::pair<std::int64_t, std::string_view> split_layer(std::string_view text) {
  std::int64_t layer = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), layer);
  const auto digits = static_cast<std::size_t>(end - text.data());
  if (error != std::errc{} || digits >= text.size() || text[digits] != '.') return {-1, {}};
  return {layer, text.substr(digits + 1)};
}

bool rotates_in_pairs(std::string_view hf_name) {
  return hf_name.find(".self_attn.q_proj.") != std::string_view::npos ||
         hf_name.find(".self_attn.k_proj.") != std::string_view::npos;
}

GgufRole role_of(const ModelConfig& config, const Architecture& row, const std::string& hf_name) {
  GgufRole role;
  role.hf_name = hf_name;
  if (row.gguf_rope_pairs && rotates_in_pairs(hf_name)) role.pair_dim = config.head_dim;
  role.minus_one = row.gguf_norm_plus_one && hf_name.ends_with("norm.weight");
  return role;
}

}  // namespace

std::string gguf_name_of(const ModelConfig& config, const std::string& hf_name) {
  if (hf_name == kEmbeddingTensor) return "token_embd.weight";
  if (hf_name == kFinalNormTensor) return "output_norm.weight";
  if (hf_name == std::string(kHeadModule) + ".weight") return "output.weight";
  constexpr std::string_view kLayers = "model.layers.";
  const std::size_t dot = hf_name.rfind('.');
  if (!hf_name.starts_with(kLayers) || dot < kLayers.size()) return {};
  const auto [layer, part] = split_layer(std::string_view(hf_name).substr(kLayers.size(), dot - kLayers.size()));
  const std::string_view gguf = layer < 0 ? std::string_view{} : layer_part(config, part);
  if (gguf.empty()) return {};
  return fmt::format("blk.{}.{}{}", layer, gguf, hf_name.substr(dot));
}

std::unordered_map<std::string, GgufRole> gguf_roles(const ModelConfig& config) {
  const Architecture& row = architecture_of(config);
  std::unordered_map<std::string, GgufRole> roles;
  for (const ExpectedTensor& tensor : expected_tensors(config))
    roles.emplace(gguf_name_of(config, tensor.name), role_of(config, row, tensor.name));
  roles.emplace("output.weight", role_of(config, row, std::string(kHeadModule) + ".weight"));
  return roles;
}

std::string plain_hf_name(const std::string& name, const std::string& prefix) {
  constexpr std::string_view kHeadSuffix = "lm_head.";
  const std::size_t head = name.rfind(kHeadSuffix);
  // "language_model.lm_head.weight": the head stands beside the model, not in it.
  if (head != std::string::npos && (head == 0 || name[head - 1] == '.') && prefix.starts_with(name.substr(0, head)))
    return name.substr(head);
  if (name.starts_with(prefix)) return "model." + name.substr(prefix.size());
  return name;
}

}  // namespace quernel::model
