// The linear layers of a decoder block: which checkpoint modules hold them and which input each of them reads.
//
// A block has four input sites. All modules of a site read the same activations, so they share one Hessian. Checkpoint
// modules are the unit of quantization; a fused one (Phi-3's qkv_proj) holds several logical linears as row ranges.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "model/config.h"

namespace quernel::model {

enum class Site { attention_in, attention_out, mlp_in, mlp_out };  // in the order in which a forward pass meets them
constexpr std::array<Site, 4> kSites{Site::attention_in, Site::attention_out, Site::mlp_in, Site::mlp_out};
const char* to_string(Site site);

enum class Linear { q, k, v, o, gate, up, down };
constexpr int kNumLinears = 7;

struct ModulePart {
  Linear linear;
  std::int64_t first_row;
  std::int64_t num_rows;
};

struct LinearModule {
  std::string name;  // Hugging Face module name, without ".weight": "model.layers.0.self_attn.q_proj"
  Site site;
  std::int64_t rows;  // out_features
  std::int64_t cols;  // in_features
  std::vector<ModulePart> parts;
};

// The modules of one layer in checkpoint order, by architecture.
std::vector<LinearModule> linear_modules(const ModelConfig& config, std::int64_t layer);
std::int64_t site_width(const ModelConfig& config, Site site);  // in_features of a site
bool has_bias(const ModelConfig& config, Linear linear);

// Tensors outside the blocks.
inline constexpr const char* kEmbeddingTensor = "model.embed_tokens.weight";  // [vocab, hidden]
inline constexpr const char* kFinalNormTensor = "model.norm.weight";          // [hidden]
inline constexpr const char* kHeadModule = "lm_head";  // weight [vocab, hidden]; may be absent where tied

// Names of a layer's norm tensors; empty where the architecture has none. The same Hugging Face name means different
// places in different families: post_attention_layernorm stands before the MLP in Llama and after attention in Gemma 2.
struct NormNames {
  std::string attention, attention_post;  // [hidden]
  std::string mlp, mlp_post;              // [hidden]
  std::string q, k;  // [head_dim], or [heads * head_dim] and [kv_heads * head_dim] with qk_norm_full
};
NormNames norm_names(const ModelConfig& config, std::int64_t layer);

// Every dense tensor that a model of this shape has, in the order of a forward pass. The head is listed only where it
// is not tied.
struct ExpectedTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  bool linear_weight = false;  // weight of a linear module: may be quantized instead
};
std::vector<ExpectedTensor> expected_tensors(const ModelConfig& config);

}  // namespace quernel::model
