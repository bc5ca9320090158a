// Which layers see a window of the text and which rotate: the rules by which families fill ModelConfig::layers.
//
// Errors   corrupt, unsupported with the field
// Threads  pure functions
#pragma once

#include "base/json.h"
#include "base/result.h"
#include "model/config.h"
#include "model/json_fields.h"

namespace quernel::model {

// sliding_window holds for all layers; absent: `if_absent` (Mistral, Phi-3).
Status read_window_everywhere(const Json& json, OptionalInt if_absent, ModelConfig& config);
// layer_types, or windows from max_window_layers on; only where use_sliding_window is true (Qwen).
Status read_late_windows(const Json& json, std::int64_t default_window, std::int64_t default_first,
                         ModelConfig& config);
// layer_types, or windows in all layers but every `period`-th (Gemma).
Status read_periodic_windows(const Json& json, std::int64_t default_window, std::int64_t period, ModelConfig& config);
// no_rope_layers (1: rotates), or none in every no_rope_layer_interval-th; windows where use_sliding_window is true
// (SmolLM3).
Status read_unrotated_layers(const Json& json, ModelConfig& config);

}  // namespace quernel::model
