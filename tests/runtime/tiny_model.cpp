#include "runtime/tiny_model.h"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <span>

#include "base/check.h"
#include "base/rng.h"
#include "io/safetensors_writer.h"
#include "support/temp_folder.h"
#include "tensor/half.h"

namespace quernel::test {
namespace {

std::string layer_name(std::int64_t layer) { return "model.layers." + std::to_string(layer) + "."; }

}  // namespace

void TinyModel::draw(std::uint64_t seed) {
  tensors.clear();
  const auto add = [&](const std::string& name, std::int64_t rows, std::int64_t cols, double mean, double deviation) {
    CounterRng rng(seed, name);
    Tensor tensor{rows, cols, std::vector<float>(static_cast<std::size_t>(std::max<std::int64_t>(rows, 1) * cols))};
    for (float& value : tensor.values) {
      value = static_cast<float>(mean + deviation * rng.normal());
      if (dtype == DType::bf16) value = bf16_to_float(float_to_bf16(value));
    }
    tensors.emplace(name, std::move(tensor));
  };
  const auto add_norm = [&](const std::string& name, std::int64_t size) {
    add(name + ".weight", 0, size, norm_adds_one ? 0.0 : 1.0, 0.3);
  };
  const auto add_linear = [&](const std::string& name, std::int64_t rows, std::int64_t cols, bool bias) {
    add(name + ".weight", rows, cols, 0.0, 1.3 / std::sqrt(static_cast<double>(cols)));
    if (bias) add(name + ".bias", 0, rows, 0.0, 0.5);
  };
  add("model.embed_tokens.weight", vocab, hidden, 0.0, 1.0 / std::sqrt(static_cast<double>(hidden)));
  if (!tied) add_linear("lm_head", vocab, hidden, false);
  add_norm("model.norm", hidden);
  const std::int64_t q = heads * head_dim;
  const std::int64_t kv = kv_heads * head_dim;
  for (std::int64_t i = 0; i < num_layers(); ++i) {
    const std::string layer = layer_name(i);
    if (fused) {
      add_linear(layer + "self_attn.qkv_proj", q + 2 * kv, hidden, false);
      add_linear(layer + "mlp.gate_up_proj", 2 * intermediate, hidden, false);
    } else {
      add_linear(layer + "self_attn.q_proj", q, hidden, qkv_bias);
      add_linear(layer + "self_attn.k_proj", kv, hidden, qkv_bias);
      add_linear(layer + "self_attn.v_proj", kv, hidden, qkv_bias);
      add_linear(layer + "mlp.gate_proj", intermediate, hidden, mlp_bias);
      add_linear(layer + "mlp.up_proj", intermediate, hidden, mlp_bias);
    }
    add_linear(layer + "self_attn.o_proj", hidden, q, out_bias);
    add_linear(layer + "mlp.down_proj", hidden, intermediate, mlp_bias);
    if (norm_before) add_norm(layer + "input_layernorm", hidden);
    add_norm(layer + "post_attention_layernorm", hidden);
    if (norm_before && norm_after) add_norm(layer + "pre_feedforward_layernorm", hidden);
    if (norm_after) add_norm(layer + "post_feedforward_layernorm", hidden);
    if (head_norm) add_norm(layer + "self_attn.q_norm", head_dim);
    if (head_norm) add_norm(layer + "self_attn.k_norm", head_dim);
    if (full_norm) add_norm(layer + "self_attn.q_norm", q);
    if (full_norm) add_norm(layer + "self_attn.k_norm", kv);
  }
}

void TinyModel::write(const std::string& folder) const {
  std::filesystem::create_directories(folder);
  Json json{{"architectures", {architecture}},
            {"model_type", model_type},
            {"vocab_size", vocab},
            {"hidden_size", hidden},
            {"intermediate_size", intermediate},
            {"num_hidden_layers", num_layers()},
            {"num_attention_heads", heads},
            {"num_key_value_heads", kv_heads},
            {"head_dim", head_dim},
            {"max_position_embeddings", 256},
            {"rms_norm_eps", eps},
            {"hidden_act", gelu ? "gelu_pytorch_tanh" : "silu"},
            {"tie_word_embeddings", tied},
            {"bos_token_id", 1},
            {"eos_token_id", 2},
            {"dtype", dtype == DType::bf16 ? "bfloat16" : "float32"}};
  if (!config.contains("rope_parameters")) {
    json["rope_parameters"] = Json{{"rope_type", "default"}, {"rope_theta", layers[0].theta}};
  }
  for (const auto& [key, value] : config.items()) json[key] = value;
  write_text(folder + "/config.json", json.dump(1));

  std::vector<io::PlannedTensor> plan;
  std::vector<const std::vector<float>*> values;
  for (const auto& [name, tensor] : tensors) {
    plan.push_back({name, dtype, tensor.rows == 0 ? Shape{tensor.cols} : Shape{tensor.rows, tensor.cols}});
    values.push_back(&tensor.values);
  }
  const auto written = io::write_safetensors(folder, plan, [&](std::size_t index, const io::ByteSink& sink) {
    if (dtype == DType::f32) return sink(std::as_bytes(std::span(*values[index])));
    std::vector<std::uint16_t> narrow(values[index]->size());
    float_to_bf16(*values[index], narrow);
    return sink(std::as_bytes(std::span<const std::uint16_t>(narrow)));
  });
  QUERNEL_CHECK(written.ok(), "{}", to_string(written.error()));
}

TinyModel tiny_llama() {
  TinyModel model;
  model.architecture = "LlamaForCausalLM";
  model.model_type = "llama";
  return model;
}

std::vector<TinyModel> tiny_models() {
  std::vector<TinyModel> all;
  all.push_back(tiny_llama());

  TinyModel biased = tiny_llama();
  biased.qkv_bias = biased.out_bias = biased.mlp_bias = biased.tied = true;
  biased.config = Json{{"attention_bias", true}, {"mlp_bias", true}};
  all.push_back(biased);

  TinyModel stretched = tiny_llama();
  for (TinyLayer& layer : stretched.layers) layer.linear_factor = 3.0;
  stretched.config["rope_parameters"] = Json{{"rope_type", "linear"}, {"rope_theta", 10000.0}, {"factor", 3.0}};
  all.push_back(stretched);

  TinyModel mistral = tiny_llama();
  mistral.architecture = "MistralForCausalLM";
  mistral.model_type = "mistral";
  for (TinyLayer& layer : mistral.layers) layer.window = 11;
  mistral.config["sliding_window"] = 11;
  all.push_back(mistral);

  TinyModel qwen2 = tiny_llama();
  qwen2.architecture = "Qwen2ForCausalLM";
  qwen2.model_type = "qwen2";
  qwen2.qkv_bias = qwen2.tied = true;
  qwen2.layers[1].window = qwen2.layers[2].window = 7;
  qwen2.config = Json{{"use_sliding_window", true}, {"sliding_window", 7}, {"max_window_layers", 1}};
  all.push_back(qwen2);

  TinyModel qwen3 = tiny_llama();
  qwen3.architecture = "Qwen3ForCausalLM";
  qwen3.model_type = "qwen3";
  qwen3.head_norm = true;
  qwen3.config["use_sliding_window"] = false;
  all.push_back(qwen3);

  TinyModel gemma2 = tiny_llama();
  gemma2.architecture = "Gemma2ForCausalLM";
  gemma2.model_type = "gemma2";
  gemma2.norm_after = gemma2.norm_adds_one = gemma2.gelu = gemma2.tied = true;
  gemma2.embedding_scale = std::sqrt(static_cast<double>(gemma2.hidden));
  gemma2.attention_scale = 1.0 / std::sqrt(20.0);
  gemma2.attention_cap = 2.0;
  gemma2.logit_cap = 3.0;
  gemma2.layers[0].window = gemma2.layers[2].window = 9;
  gemma2.config = Json{{"hidden_activation", "gelu_pytorch_tanh"},
                       {"query_pre_attn_scalar", 20},
                       {"attn_logit_softcapping", 2.0},
                       {"final_logit_softcapping", 3.0},
                       {"sliding_window", 9}};
  all.push_back(gemma2);

  TinyModel gemma3 = gemma2;
  gemma3.architecture = "Gemma3ForCausalLM";
  gemma3.model_type = "gemma3_text";
  gemma3.attention_cap = gemma3.logit_cap = 0.0;
  gemma3.head_norm = true;
  gemma3.layers = {{.window = 9}, {.window = 9}, {.theta = 1e6, .linear_factor = 4.0}, {.window = 9}};
  gemma3.config =
      Json{{"hidden_activation", "gelu_pytorch_tanh"},
           {"query_pre_attn_scalar", 20},
           {"sliding_window", 9},
           {"layer_types", {"sliding_attention", "sliding_attention", "full_attention", "sliding_attention"}},
           {"rope_parameters",
            {{"full_attention", {{"rope_type", "linear"}, {"factor", 4.0}, {"rope_theta", 1e6}}},
             {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 1e4}}}}}};
  all.push_back(gemma3);

  TinyModel phi3 = tiny_llama();
  phi3.architecture = "Phi3ForCausalLM";
  phi3.model_type = "phi3";
  phi3.fused = true;
  phi3.rotary_dim = 8;
  phi3.hidden = phi3.heads * phi3.head_dim;
  phi3.config = Json{{"original_max_position_embeddings", 256}, {"partial_rotary_factor", 8.0 / 12.0}};
  all.push_back(phi3);

  TinyModel smollm3 = tiny_llama();
  smollm3.architecture = "SmolLM3ForCausalLM";
  smollm3.model_type = "smollm3";
  smollm3.layers[1].rotates = false;
  smollm3.config["no_rope_layers"] = Json{1, 0, 1};
  all.push_back(smollm3);

  TinyModel olmo2 = tiny_llama();
  olmo2.architecture = "Olmo2ForCausalLM";
  olmo2.model_type = "olmo2";
  olmo2.norm_before = false;
  olmo2.norm_after = olmo2.full_norm = true;
  all.push_back(olmo2);

  TinyModel granite = tiny_llama();
  granite.architecture = "GraniteForCausalLM";
  granite.model_type = "granite";
  granite.embedding_scale = 6.0;
  granite.attention_scale = 0.11;
  granite.residual_scale = 0.3;
  granite.logit_scale = 1.0 / 2.5;
  granite.config = Json{{"embedding_multiplier", 6.0},
                        {"attention_multiplier", 0.11},
                        {"residual_multiplier", 0.3},
                        {"logits_scaling", 2.5}};
  all.push_back(granite);

  std::uint64_t seed = 1;
  for (TinyModel& model : all) model.draw(seed++);
  return all;
}

std::vector<std::int32_t> random_tokens(std::int64_t count, std::int64_t vocab, std::uint64_t seed) {
  CounterRng rng(seed, "tokens");
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
  for (std::int32_t& token : tokens) token = static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(vocab)));
  return tokens;
}

}  // namespace quernel::test
