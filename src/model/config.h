// One language model's shape and constants, as read from config.json or GGUF metadata. Plain data.
//
// Units    counts in elements; rope_theta and eps as in the papers
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace quernel::model {

enum class Activation { silu, gelu_tanh };

enum class RopeScaling { none, linear, llama3, yarn };

struct RopeConfig {
  double theta = 10000.0;
  std::int64_t rotary_dim = 0;  // leading elements of a head that rotate, in halves (i, i + rotary_dim/2)
  RopeScaling scaling = RopeScaling::none;
  double factor = 1.0;
  double low_freq_factor = 1.0;          // llama3
  double high_freq_factor = 4.0;         // llama3
  double original_context = 8192;        // llama3, yarn
  double beta_fast = 32.0;               // yarn
  double beta_slow = 1.0;                // yarn
  bool truncate = true;                  // yarn: correction range rounded to whole dimensions
  double attention_factor = 1.0;         // yarn: multiplies cos and sin
  std::vector<float> frequency_factors;  // [rotary_dim/2] divisors given by the file (GGUF rope_freqs); empty: none
};

struct LayerConfig {
  std::optional<std::int64_t> sliding_window;  // tokens a query sees, itself included; none: all
  bool rotates = true;                         // false: no RoPE in this layer (SmolLM3)
  bool local_rope = false;                     // uses rope_local instead of rope (Gemma 3)
};

struct ModelConfig {
  std::string architecture;  // "LlamaForCausalLM"; what the file said
  std::string family;        // row of the architecture table: "llama"
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t num_layers = 0;
  std::int64_t num_heads = 0;
  std::int64_t num_kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t max_positions = 0;
  double rms_norm_eps = 1e-6;
  Activation activation = Activation::silu;
  bool tie_word_embeddings = false;

  bool norm_before = true;        // RMS norm before attention and MLP; false: none there (OLMo2)
  bool norm_after = false;        // RMS norm on the outputs of attention and MLP (Gemma 2/3, OLMo2)
  bool qk_norm_per_head = false;  // RMS norm of each head of q and k before RoPE, weight [head_dim] (Qwen3, Gemma3)
  bool qk_norm_full = false;      // RMS norm over all heads together, weight [heads * head_dim] (OLMo2)
  bool norm_adds_one = false;     // stored norm weights are w, used as 1 + w (Gemma, in Hugging Face files)
  bool qkv_bias = false;          // q, k, v have biases (Qwen2 always; attention_bias of others)
  bool out_bias = false;          // the output projection has one
  bool mlp_bias = false;          // gate, up and down have them
  bool fused_qkv = false;         // one module qkv_proj (Phi-3)
  bool fused_gate_up = false;     // one module gate_up_proj (Phi-3)
  double embedding_scale = 1.0;   // sqrt(hidden) for Gemma; embedding_multiplier for Granite
  double attention_scale = 0.0;   // multiplies q k^T; always set by the reader (1/sqrt(head_dim) unless told otherwise)
  double residual_scale = 1.0;    // multiplies each branch before it joins the residual (Granite)
  double logit_scale = 1.0;       // multiplies the logits (Granite: 1 / logits_scaling)
  double attention_softcap = 0.0;  // 0: none (Gemma 2)
  double logit_softcap = 0.0;      // 0: none (Gemma 2)

  // Transforms that the forward pass does while it runs; config.json holds them under "quernel_runtime", and only Quernel
  // knows them. Both are orthonormal (tensor/hadamard.h); the weights around them were turned when the model was made.
  bool online_qk_hadamard = false;    // R3: every head of q and k after RoPE becomes H x; scores stay as they are
  bool online_down_hadamard = false;  // R4: the input of down_proj becomes H x; its stored weight is W H^T

  RopeConfig rope;
  RopeConfig rope_local;            // Gemma 3's sliding layers
  std::vector<LayerConfig> layers;  // [num_layers]

  std::optional<std::int64_t> bos_token_id;
  std::vector<std::int64_t> eos_token_ids;
  std::string stored_dtype;  // "float32", "bfloat16", "float16": what the file calls its weights

  [[nodiscard]] std::int64_t q_size() const { return num_heads * head_dim; }
  [[nodiscard]] bool has_online_transforms() const { return online_qk_hadamard || online_down_hadamard; }
  [[nodiscard]] std::int64_t kv_size() const { return num_kv_heads * head_dim; }
};

}  // namespace quernel::model
