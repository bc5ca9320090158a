// ModelConfig from a Hugging Face config.json.
//
// Reads    both rope styles (rope_theta + rope_scaling, and rope_parameters, flat or by layer type), `type` and
//          `rope_type`, torch_dtype and dtype, eos_token_id as a number or a list
// Limits   kMax... below
// Errors   not_found (a required field), corrupt (a value out of bounds), unsupported (architecture, activation, rope
//          type), always with the file and the field
// Threads  pure functions
#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"
#include "base/result.h"
#include "model/config.h"

namespace quernel::model {

constexpr std::int64_t kMaxVocabSize = std::int64_t{1} << 24;
constexpr std::int64_t kMaxWidth = std::int64_t{1} << 20;  // hidden_size, heads * head_dim
constexpr std::int64_t kMaxIntermediateSize = std::int64_t{1} << 22;
constexpr std::int64_t kMaxLayers = 4096;
constexpr std::int64_t kMaxHeads = 4096;
constexpr std::int64_t kMaxHeadDim = 4096;
constexpr std::int64_t kMaxPositions = std::int64_t{1} << 40;

// `file` names the source in errors.
Result<ModelConfig> config_from_json(const Json& json, const std::string& file);

// The config.json of the text model alone: the same object, or what a multimodal wrapper holds in text_config,
// completed with the wrapper's fields that belong to it. Errors: as above.
Result<Json> text_config_json(const Json& json, const std::string& file);

}  // namespace quernel::model
