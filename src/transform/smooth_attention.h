// SmoothAttention: the size of key channels moved into the queries, so that keys of low bits lose less.
//
// Formula  factor_i = max |key_i| ^ alpha, the maximum over the two entries that RoPE turns into each other and, where heads
//          share a norm gain, over the heads; rows of k /= factor, rows of every query head that reads the key head *= factor
// Norms    where q and k are normalised per head or over all heads, the factors go into the gains instead: a norm would undo
//          them in the rows
// Exact    the scores are those of before to within rounding; RoPE turns only pairs of equal factors
// Errors   invalid_argument: a maximum that is negative or not finite, or another number of them
// Threads  pure functions
// Source   Lin et al., QServe, arXiv 2405.04532, section 4.2 (alpha 0.5)
#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "model/config.h"
#include "runtime/layer_weights.h"

namespace quernel::transform {

// max_abs_keys [kv_heads * head_dim]: of the keys after RoPE. The factors [kv_heads * head_dim] for apply_key_factors(); a
// channel that is always 0 has factor 1.
Result<std::vector<float>> smooth_attention_factors(const model::ModelConfig& config, std::int64_t layer,
                                                    std::span<const float> max_abs_keys, double alpha);

// Changes q and k in place, biases included.
void apply_key_factors(const model::ModelConfig& config, std::span<const float> factors,
                       runtime::LayerWeights& weights);

}  // namespace quernel::transform
