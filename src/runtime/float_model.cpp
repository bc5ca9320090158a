#include "runtime/float_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "runtime/linear.h"
#include "runtime/row_math.h"
#include "tensor/half.h"

namespace quernel::runtime {
namespace {

Status check_span(const SequenceSpan& span, std::int64_t next_row) {
  QUERNEL_CHECK(span.first_row == next_row && span.num_tokens >= 0, "sequences of a batch follow each other");
  if (span.position < 0) {
    return Error(Fault::invalid_argument, fmt::format("a sequence cannot begin at position {}", span.position));
  }
  if (span.cache == nullptr) {
    if (span.position == 0 && span.num_tokens <= RopeTable::kMaxPositions) return ok_status();
    return Error(Fault::invalid_argument, "a sequence without a cache must be whole")
        .expect("position 0", fmt::format("position {}, {} tokens", span.position, span.num_tokens));
  }
  if (span.position > span.cache->length()) {
    return Error(Fault::invalid_argument, "a sequence continues beyond what its cache holds")
        .expect(fmt::format("position at most {}", span.cache->length()), fmt::format("{}", span.position));
  }
  if (span.num_tokens > span.cache->max_tokens() - span.position) {
    return Error(Fault::invalid_argument, "the key/value cache is full")
        .expect(fmt::format("at most {} tokens", span.cache->max_tokens()),
                fmt::format("{} at position {}", span.num_tokens, span.position))
        .with_hint("make a cache for more tokens");
  }
  return ok_status();
}

void widen_row(const LinearWeight& weight, std::int64_t index, std::span<float> out) {
  if (weight.f32.data != nullptr) {
    const std::span<const float> row = weight.f32.row(index);
    std::copy(row.begin(), row.end(), out.begin());
  } else {
    bf16_to_float(weight.bf16.row(index), out);
  }
}

}  // namespace

Status check_tokens(const model::ModelConfig& config, std::span<const std::int32_t> tokens) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] >= 0 && tokens[i] < config.vocab_size) continue;
    return Error(Fault::invalid_argument, fmt::format("token {} is outside the vocabulary", i))
        .expect(fmt::format("0..{}", config.vocab_size - 1), fmt::format("{}", tokens[i]));
  }
  return ok_status();
}

void embed_token(const model::ModelConfig& config, const EndWeights& ends, std::int32_t token, std::span<float> row) {
  widen_row(ends.embedding, token, row);
  const auto scale = static_cast<float>(config.embedding_scale);
  if (scale == 1.0F) return;
  for (float& value : row) value *= scale;
}

Status embed_tokens(const model::ModelConfig& config, const EndWeights& ends, std::span<const std::int32_t> tokens,
                    MatrixView hidden) {
  QUERNEL_CHECK(hidden.rows == static_cast<std::int64_t>(tokens.size()) && hidden.cols == config.hidden_size,
                "hidden [{}, {}] of {} tokens", hidden.rows, hidden.cols, tokens.size());
  QUERNEL_TRY_STATUS(check_tokens(config, tokens));
  for (std::size_t i = 0; i < tokens.size(); ++i)
    embed_token(config, ends, tokens[i], hidden.row(static_cast<std::int64_t>(i)));
  return ok_status();
}

void compute_logits(const model::ModelConfig& config, const EndWeights& ends, Precision precision,
                    ConstMatrixView hidden, MatrixView out, sys::ThreadPool& pool) {
  QUERNEL_CHECK(out.rows == hidden.rows && out.cols == config.vocab_size, "logits [{}, {}] of {} rows", out.rows,
                out.cols, hidden.rows);
  Matrix normed = Matrix::uninitialized(hidden.rows, hidden.cols);
  rms_norm_rows(hidden, ends.final_norm, config.rms_norm_eps, normed, pool);
  apply_linear(ends.head, normed, out, precision, pool);
  scale_and_cap(out, config.logit_scale, config.logit_softcap, pool);
}

Result<FloatModel> FloatModel::load(const model::Checkpoint& checkpoint, sys::ThreadPool& pool, Precision precision,
                                    const SimulatedBits& simulated) {
  QUERNEL_TRY_STATUS(validate(simulated));
  FloatModel model;
  model.simulated_ = simulated;
  model.config_ = &checkpoint.config();
  model.pool_ = &pool;
  model.precision_ = effective(precision);
  QUERNEL_TRY(model.ends_, load_ends(checkpoint));
  model.layers_.reserve(static_cast<std::size_t>(model.config_->num_layers));
  for (std::int64_t layer = 0; layer < model.config_->num_layers; ++layer) {
    QUERNEL_TRY(LayerWeights weights, load_layer(checkpoint, layer));
    model.layers_.push_back(std::move(weights));
  }
  model.rope_ = RopeTable::make(*model.config_);
  model.workspace_ = std::make_unique<Workspace>();
  return model;
}

KvCache FloatModel::make_cache(std::int64_t max_tokens) const {
  Result<KvCache> cache = KvCache::make(*config_, max_tokens);
  return std::move(cache).value();
}

Status FloatModel::forward(std::span<const std::int32_t> tokens, const SequenceBatch& batch, MatrixView hidden) const {
  std::int64_t rows = 0;
  for (const SequenceSpan& span : batch) {
    QUERNEL_TRY_STATUS(check_span(span, rows));
    rows += span.num_tokens;
  }
  QUERNEL_CHECK(rows == static_cast<std::int64_t>(tokens.size()), "{} tokens in a batch of {}", tokens.size(), rows);
  QUERNEL_TRY_STATUS(embed_tokens(*config_, ends_, tokens, hidden));
  const BlockContext context{config_, rope_.get(), precision_, pool_, workspace_.get(), simulated_};
  for (const LayerWeights& weights : layers_) forward_block(context, weights, batch, hidden);
  for (const SequenceSpan& span : batch) {
    if (span.cache != nullptr) span.cache->set_length(span.position + span.num_tokens);
  }
  return ok_status();
}

Status FloatModel::run_sequences(std::span<const std::int32_t> tokens, std::span<const std::int64_t> lengths,
                                 MatrixView hidden) const {
  SequenceBatch batch;
  std::int64_t first_row = 0;
  for (const std::int64_t length : lengths) {
    batch.push_back({.first_row = first_row, .num_tokens = length});
    first_row += length;
  }
  return forward(tokens, batch, hidden);
}

void FloatModel::logits(ConstMatrixView hidden, MatrixView out) const {
  compute_logits(*config_, ends_, precision_, hidden, out, *pool_);
}

}  // namespace quernel::runtime
