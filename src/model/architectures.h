// The architectures that can be read: one row each. All are decoder-only transformers of the Llama kind; a row says how
// files name it, which defaults its configuration has and what it does differently. A new architecture is a new row.
//
// Source   defaults are those of Transformers 5.23, held against it by tests/model/data; GGUF conventions are those of
//          llama.cpp
// Threads  pure functions over constant data
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "model/config.h"

namespace quernel::model {

class GgufFields;

// What a config.json means where it is silent. A 0 in heads, vocab and positions means that the field is required.
struct ConfigDefaults {
  std::int64_t num_heads = 0;
  std::int64_t num_kv_heads = 0;  // 0: as many as heads
  std::int64_t head_dim = 0;      // 0: hidden_size / heads
  std::int64_t vocab_size = 0;
  std::int64_t max_positions = 0;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000.0;
  double rope_theta_local = 0.0;  // above 0: sliding layers have a rotation of their own
  bool tie_word_embeddings = false;
  std::optional<std::int64_t> bos = {};
  std::optional<std::int64_t> eos = {};
};

struct Architecture {
  std::string_view family = {};
  std::string_view hf_name = {};        // architectures[0] of config.json
  std::string_view hf_model_type = {};  // model_type of config.json
  std::string_view hf_wrapper = {};     // multimodal wrapper whose text_config is this one; empty: none
  std::string_view gguf_name = {};      // general.architecture; empty: GGUF files use another row
  ConfigDefaults defaults = {};
  std::string_view activation_field = "hidden_act";
  std::string_view activation = "silu";
  bool reads_attention_bias = false;  // attention_bias of config.json counts (q, k, v and o)
  bool reads_mlp_bias = false;
  bool partial_rotary = false;      // may rotate a leading part of a head only
  bool gguf_rope_pairs = false;     // GGUF holds q and k rows in pairs (2i, 2i+1) instead of halves
  bool gguf_norm_plus_one = false;  // GGUF holds 1 + w for norm weights

  // Fills what differs from Llama; common fields, rope and `layers` (sized, all full attention) are set already.
  Status (*fill)(const Json& json, ModelConfig& config) = nullptr;
  // Adds the fields that only this architecture has to the config.json made from GGUF metadata. May be null.
  Status (*fill_gguf)(const GgufFields& fields, Json& json) = nullptr;
};

std::span<const Architecture> architectures();
std::string supported_architectures();  // "LlamaForCausalLM, MistralForCausalLM, ..."

// The row that a config.json names. Errors: not_found (no name), unsupported (naming it and the supported ones),
// corrupt (architectures and model_type contradict each other).
Result<const Architecture*> find_architecture(const Json& config_json);
// The row of a GGUF file's general.architecture. Errors: unsupported.
Result<const Architecture*> find_gguf_architecture(const std::string& name);
const Architecture& architecture_of(const ModelConfig& config);

}  // namespace quernel::model
