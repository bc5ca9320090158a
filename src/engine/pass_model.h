// What a model lends to the parts of its forward pass, and what a pass is made of.
#pragma once

#include <cstdint>

#include "engine/embedding.h"
#include "engine/engine_options.h"
#include "engine/model_weights.h"
#include "engine/online_transform.h"
#include "engine/paged_cache.h"
#include "kernels/kv_attention/kv_attention.h"
#include "model/config.h"
#include "runtime/rope.h"

namespace quernel::engine {

// Tokens of one sequence in a pass: they follow what its cache holds.
struct Span {
  PagedCache* cache = nullptr;
  std::int64_t num_tokens = 0;
};

inline constexpr std::int64_t kRunPages = kernels::kv_attention::kMaxRunPages;  // 256 positions

// What a model lends to its passes.
struct PassModel {
  const model::ModelConfig* config;
  const EngineOptions* options;
  const ModelWeights* weights;
  const Embedding* embedding;
  const runtime::RopeTable* rope;
  const OnlineTransform* head_transform;   // null: none
  const OnlineTransform* inner_transform;  // null: none
};

}  // namespace quernel::engine
