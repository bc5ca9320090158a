// Where a factor can move: each input site of a block has a producer (a norm's gain, or the rows of a linear) and consumers.
// Dividing channel j of the producer by s_j and multiplying column j of every consumer by it changes nothing.
//
//   site            producer            consumers   not where
//   attention_in    attention norm      q, k, v     there is no norm before attention (OLMo 2)
//   attention_out   rows of v (+ bias)  o
//   mlp_in          norm before MLP     gate, up    there is no norm before the MLP (OLMo 2)
//   mlp_out         rows of up (+ bias) down
//
// Channels  a producer's: hidden_size, kv_size, hidden_size, intermediate_size. With grouped queries a channel of v is read by one
//           input of o in each query head of its group: those share the factor
// Threads   pure functions
// Source    Lin et al., AWQ, MLSys 2024 (v -> o there only without grouped queries)
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/config.h"
#include "model/modules.h"
#include "runtime/layer_weights.h"

namespace quernel::transform {

bool has_pair(const model::ModelConfig& config, model::Site site);
std::span<const model::Linear> consumers(model::Site site);
std::int64_t producer_width(const model::ModelConfig& config, model::Site site);

// The producer's channel behind each of the site's inputs [site width].
std::vector<std::int32_t> producer_channels(const model::ModelConfig& config, model::Site site);

// factors [producer_width], finite, above 0.
void move_scales(const model::ModelConfig& config, model::Site site, std::span<const float> factors,
                 runtime::LayerWeights& weights);

// The MLP's inner channel i becomes what channel order[i] was: rows of gate and up, columns of down. order: a permutation.
void reorder_inner_channels(std::span<const std::int32_t> order, runtime::LayerWeights& weights);

}  // namespace quernel::transform
