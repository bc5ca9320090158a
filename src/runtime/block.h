// One decoder block of the float forward pass, in the six steps between which calibration listens.
//
// Shapes   hidden and all activations are [tokens, width]; tokens of several sequences stand one after another (SequenceBatch)
// Exact    results do not depend on threads. A row's result depends on its sequence alone to within rounding: with which rows
//          it is multiplied may change the order of sums (runtime/linear.h)
// Low bits what attention_input, attention_mix, mlp_input and mlp_inner give is what the linears read: on-line Hadamard
//          transforms (model/config.h) and simulated rounding (runtime/simulated.h) are in it, so that calibration and the
//          forward pass see the same
// Source   the step order of the pre-norm and post-norm families in model/config.h
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/config.h"
#include "runtime/kv_cache.h"
#include "runtime/layer_weights.h"
#include "runtime/precision.h"
#include "runtime/rope.h"
#include "runtime/simulated.h"
#include "runtime/workspace.h"
#include "sys/thread_pool.h"
#include "tensor/matrix.h"

namespace quernel::runtime {

// Which rows of an activation matrix belong to which sequence, and where in it they stand.
struct SequenceSpan {
  std::int64_t first_row = 0;
  std::int64_t num_tokens = 0;
  std::int64_t position = 0;  // of its first token; tokens before it are in `cache`
  KvCache* cache = nullptr;   // null: the sequence is whole here (position == 0) and nothing is kept
};
using SequenceBatch = std::vector<SequenceSpan>;

struct BlockContext {
  const model::ModelConfig* config = nullptr;
  const RopeTable* rope = nullptr;
  Precision precision = Precision::f32;
  sys::ThreadPool* pool = nullptr;
  Workspace* workspace = nullptr;  // null: intermediate memory is taken afresh by each call
  SimulatedBits simulated{};       // valid
  // Not empty: [kv_heads * head_dim], raised to the largest |key| of each channel, after RoPE and before any transform.
  std::span<float> max_abs_keys{};
};

// site attention_in: the normalised input of q, k, v.       out [tokens, hidden]
void attention_input(const BlockContext& context, const LayerWeights& weights, ConstMatrixView hidden, MatrixView out);
// site attention_out: what attention hands to o.            out [tokens, heads * head_dim]
void attention_mix(const BlockContext& context, const LayerWeights& weights, ConstMatrixView attention_in,
                   const SequenceBatch& batch, MatrixView out);
// hidden += o(attention_out), with post norm and residual scale.
void attention_finish(const BlockContext& context, const LayerWeights& weights, ConstMatrixView attention_out,
                      MatrixView hidden);
// site mlp_in: the normalised input of gate and up.         out [tokens, hidden]
void mlp_input(const BlockContext& context, const LayerWeights& weights, ConstMatrixView hidden, MatrixView out);
// site mlp_out: act(gate(x)) * up(x), the input of down.    out [tokens, intermediate]
void mlp_inner(const BlockContext& context, const LayerWeights& weights, ConstMatrixView mlp_in, MatrixView out);
// hidden += down(mlp_out), with post norm and residual scale.
void mlp_finish(const BlockContext& context, const LayerWeights& weights, ConstMatrixView mlp_out, MatrixView hidden);

// All six.
void forward_block(const BlockContext& context, const LayerWeights& weights, const SequenceBatch& batch,
                   MatrixView hidden);

}  // namespace quernel::runtime
