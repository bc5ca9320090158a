// The rotation of queries and keys as a config.json states it.
//
// Errors   unsupported (dynamic, longrope and other types whose angles depend on the length), not_found, corrupt
// Threads  pure functions
#pragma once

#include "base/json.h"
#include "base/result.h"
#include "model/architectures.h"
#include "model/config.h"

namespace quernel::model {

// Fills config.rope and, where sliding layers rotate differently, config.rope_local and layers[].local_rope.
// config.head_dim, max_positions and layers (with their windows) are set.
Status read_rope(const Json& json, const Architecture& architecture, ModelConfig& config);

}  // namespace quernel::model
