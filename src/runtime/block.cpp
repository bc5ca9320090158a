#include "runtime/block.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/check.h"
#include "runtime/attention.h"
#include "runtime/linear.h"
#include "runtime/row_math.h"
#include "runtime/simulated.h"
#include "tensor/hadamard.h"

namespace quernel::runtime {
namespace {

using model::Linear;

// Rows of one pass through a branch: enough for the matrix products to run at full speed, few enough for their
// intermediate rows to stay in the last cache level.
constexpr std::int64_t kRowsPerPass = 512;
constexpr std::int64_t kMaxPass = kRowsPerPass + kFewRows;

// Rows of the next pass. A remainder of few rows joins the pass before it: only calls that are short as a whole take
// the path of few rows, so that a row's sums do not depend on where a pass happens to end.
std::int64_t next_pass(std::int64_t rows_left) { return rows_left <= kMaxPass ? rows_left : kRowsPerPass; }

void norm_or_copy(const BlockContext& context, std::span<const float> gain, ConstMatrixView hidden, MatrixView out) {
  if (!gain.empty()) {
    rms_norm_rows(hidden, gain, context.config->rms_norm_eps, out, *context.pool);
    return;
  }
  for (std::int64_t row = 0; row < hidden.rows; ++row) {
    std::copy(hidden.row(row).begin(), hidden.row(row).end(), out.row(row).begin());
  }
}

// hidden += residual_scale * norm(linear(x))
void finish_branch(const BlockContext& context, const LinearWeight& weight, std::span<const float> post_norm,
                   ConstMatrixView x, MatrixView hidden) {
  Workspace::Frame scratch(context.workspace);
  const MatrixView buffer = scratch.take(std::min(x.rows, kMaxPass), hidden.cols);
  for (std::int64_t first = 0, rows = 0; first < x.rows; first += rows) {
    rows = next_pass(x.rows - first);
    const MatrixView branch = buffer.row_block(0, rows);
    apply_linear(weight, x.row_block(first, rows), branch, context.precision, *context.pool);
    if (!post_norm.empty()) {
      rms_norm_rows(branch, post_norm, context.config->rms_norm_eps, branch, *context.pool);
    }
    add_scaled(branch, context.config->residual_scale, hidden.row_block(first, rows), *context.pool);
  }
}

std::vector<std::int64_t> row_positions(const SequenceBatch& batch, std::int64_t rows) {
  std::vector<std::int64_t> positions(static_cast<std::size_t>(rows));
  for (const SequenceSpan& span : batch) {
    for (std::int64_t t = 0; t < span.num_tokens; ++t) {
      positions[static_cast<std::size_t>(span.first_row + t)] = span.position + t;
    }
  }
  return positions;
}

// Every head of every row by itself; rows lie close (stride == cols).
void transform_heads(const Hadamard& transform, MatrixView rows, sys::ThreadPool& pool) {
  QUERNEL_CHECK(rows.stride == rows.cols, "heads of a matrix without gaps");
  transform.apply({rows.data, rows.rows * rows.cols / transform.size(), transform.size()}, pool);
}

void raise_maxima(ConstMatrixView rows, std::span<float> maxima) {
  for (std::int64_t row = 0; row < rows.rows; ++row) {
    std::transform(maxima.begin(), maxima.end(), rows.row(row).begin(), maxima.begin(),
                   [](float a, float b) { return std::max(a, std::abs(b)); });
  }
}

// Sequences whose rows follow each other from row 0 of x.
void mix_sequences(const BlockContext& context, const LayerWeights& weights, ConstMatrixView x,
                   const SequenceBatch& batch, MatrixView out) {
  const model::ModelConfig& config = *context.config;
  const model::LayerConfig& layer = config.layers[static_cast<std::size_t>(weights.index)];
  Workspace::Frame scratch(context.workspace);
  const MatrixView queries = scratch.take(x.rows, config.q_size());
  const MatrixView keys = scratch.take(x.rows, config.kv_size());
  const MatrixView values = scratch.take(x.rows, config.kv_size());
  const std::array<LinearCall, 3> calls{LinearCall{&weights.linear(Linear::q), queries},
                                        LinearCall{&weights.linear(Linear::k), keys},
                                        LinearCall{&weights.linear(Linear::v), values}};
  apply_linears(calls, x, context.precision, *context.pool);
  if (!weights.q_norm.empty()) {
    rms_norm_rows(queries, weights.q_norm, config.rms_norm_eps, queries, *context.pool);
    rms_norm_rows(keys, weights.k_norm, config.rms_norm_eps, keys, *context.pool);
  }
  if (layer.rotates) {
    const std::vector<std::int64_t> positions = row_positions(batch, x.rows);
    rotate_rows(*context.rope, layer.local_rope, config.head_dim, positions, queries, *context.pool);
    rotate_rows(*context.rope, layer.local_rope, config.head_dim, positions, keys, *context.pool);
  }
  if (!context.max_abs_keys.empty()) raise_maxima(keys, context.max_abs_keys);
  if (config.online_qk_hadamard) {
    const Hadamard transform(config.head_dim);
    transform_heads(transform, queries, *context.pool);
    transform_heads(transform, keys, *context.pool);
  }
  simulate_kv(context.simulated, config.head_dim, keys, *context.pool);
  simulate_kv(context.simulated, config.head_dim, values, *context.pool);
  attend(context, weights.index, batch, queries, keys, values, out);
}

}  // namespace

void attention_input(const BlockContext& context, const LayerWeights& weights, ConstMatrixView hidden, MatrixView out) {
  norm_or_copy(context, weights.attention_norm, hidden, out);
  simulate_activations(context.simulated, out, *context.pool);
}

void attention_mix(const BlockContext& context, const LayerWeights& weights, ConstMatrixView attention_in,
                   const SequenceBatch& batch, MatrixView out) {
  // Whole sequences are taken together until a pass is full: short ones share the reading of the weights. A pass of few
  // rows takes one more sequence, whatever its length (see next_pass).
  for (std::size_t begin = 0; begin < batch.size();) {
    const std::int64_t first_row = batch[begin].first_row;
    std::int64_t rows = 0;
    SequenceBatch pass;
    while (begin < batch.size() && (rows <= kFewRows || rows + batch[begin].num_tokens <= kRowsPerPass ||
                                    first_row + rows + kFewRows >= attention_in.rows)) {
      SequenceSpan span = batch[begin++];
      QUERNEL_CHECK(span.first_row == first_row + rows, "sequences of a batch follow each other");
      span.first_row = rows;
      rows += span.num_tokens;
      pass.push_back(span);
    }
    mix_sequences(context, weights, attention_in.row_block(first_row, rows), pass, out.row_block(first_row, rows));
  }
  simulate_activations(context.simulated, out, *context.pool);
}

void attention_finish(const BlockContext& context, const LayerWeights& weights, ConstMatrixView attention_out,
                      MatrixView hidden) {
  finish_branch(context, weights.linear(Linear::o), weights.attention_post_norm, attention_out, hidden);
}

void mlp_input(const BlockContext& context, const LayerWeights& weights, ConstMatrixView hidden, MatrixView out) {
  norm_or_copy(context, weights.mlp_norm, hidden, out);
  simulate_activations(context.simulated, out, *context.pool);
}

void mlp_inner(const BlockContext& context, const LayerWeights& weights, ConstMatrixView mlp_in, MatrixView out) {
  Workspace::Frame scratch(context.workspace);
  const MatrixView up = scratch.take(std::min(mlp_in.rows, kMaxPass), out.cols);
  for (std::int64_t first = 0, rows = 0; first < mlp_in.rows; first += rows) {
    rows = next_pass(mlp_in.rows - first);
    const ConstMatrixView x = mlp_in.row_block(first, rows);
    const MatrixView gate = out.row_block(first, rows);
    const std::array<LinearCall, 2> calls{LinearCall{&weights.linear(Linear::gate), gate},
                                          LinearCall{&weights.linear(Linear::up), up.row_block(0, rows)}};
    apply_linears(calls, x, context.precision, *context.pool);
    gated_activation(context.config->activation, gate, up.row_block(0, rows), *context.pool);
  }
  if (context.config->online_down_hadamard) Hadamard(out.cols).apply(out, *context.pool);
  simulate_activations(context.simulated, out, *context.pool);
}

void mlp_finish(const BlockContext& context, const LayerWeights& weights, ConstMatrixView mlp_out, MatrixView hidden) {
  finish_branch(context, weights.linear(Linear::down), weights.mlp_post_norm, mlp_out, hidden);
}

void forward_block(const BlockContext& context, const LayerWeights& weights, const SequenceBatch& batch,
                   MatrixView hidden) {
  const model::ModelConfig& config = *context.config;
  {
    Workspace::Frame scratch(context.workspace);
    const MatrixView input = scratch.take(hidden.rows, hidden.cols);
    const MatrixView mixed = scratch.take(hidden.rows, config.q_size());
    attention_input(context, weights, hidden, input);
    attention_mix(context, weights, input, batch, mixed);
    attention_finish(context, weights, mixed, hidden);
  }
  Workspace::Frame scratch(context.workspace);
  const MatrixView input = scratch.take(std::min(hidden.rows, kMaxPass), hidden.cols);
  const MatrixView inner = scratch.take(std::min(hidden.rows, kMaxPass), config.intermediate_size);
  for (std::int64_t first = 0, rows = 0; first < hidden.rows; first += rows) {
    rows = next_pass(hidden.rows - first);
    const MatrixView part = hidden.row_block(first, rows);
    mlp_input(context, weights, part, input.row_block(0, rows));
    mlp_inner(context, weights, input.row_block(0, rows), inner.row_block(0, rows));
    mlp_finish(context, weights, inner.row_block(0, rows), part);
  }
}

}  // namespace quernel::runtime
