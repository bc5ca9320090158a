#include "runtime/attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/check.h"

namespace quernel::runtime {
namespace {

constexpr std::int64_t kQueriesPerTask = 16;

struct HeadTask {
  const SequenceSpan* span;
  std::int64_t head;
  std::int64_t first;  // query within the span
};

void attend_query(const model::ModelConfig& config, std::optional<std::int64_t> window, const float* query,
                  ConstMatrixView keys, ConstMatrixView values, std::int64_t position, std::vector<float>& scores,
                  float* out) {
  const std::int64_t begin = window ? std::max<std::int64_t>(0, position + 1 - *window) : 0;
  const std::int64_t count = position + 1 - begin;
  scores.resize(static_cast<std::size_t>(count));
  float largest = -INFINITY;
  for (std::int64_t t = 0; t < count; ++t) {
    const float* key = keys.row(begin + t).data();
    float sum = 0.0F;
    for (std::int64_t i = 0; i < config.head_dim; ++i) sum += query[i] * key[i];
    sum *= static_cast<float>(config.attention_scale);
    if (config.attention_softcap > 0.0) {
      const auto cap = static_cast<float>(config.attention_softcap);
      sum = cap * std::tanh(sum / cap);
    }
    scores[static_cast<std::size_t>(t)] = sum;
    largest = std::max(largest, sum);
  }
  float total = 0.0F;
  for (float& score : scores) total += score = std::exp(score - largest);
  std::fill(out, out + config.head_dim, 0.0F);
  for (std::int64_t t = 0; t < count; ++t) {
    const float weight = scores[static_cast<std::size_t>(t)] / total;
    const float* value = values.row(begin + t).data();
    for (std::int64_t i = 0; i < config.head_dim; ++i) out[i] += weight * value[i];
  }
}

void store_in_cache(const model::ModelConfig& config, std::int64_t layer, const SequenceSpan& span,
                    ConstMatrixView keys, ConstMatrixView values) {
  for (std::int64_t head = 0; head < config.num_kv_heads; ++head) {
    const MatrixView cached_keys = span.cache->keys(layer, head);
    const MatrixView cached_values = span.cache->values(layer, head);
    const std::int64_t first_col = head * config.head_dim;
    for (std::int64_t t = 0; t < span.num_tokens; ++t) {
      const float* key = keys.row(span.first_row + t).data() + first_col;
      const float* value = values.row(span.first_row + t).data() + first_col;
      std::copy(key, key + config.head_dim, cached_keys.row(span.position + t).data());
      std::copy(value, value + config.head_dim, cached_values.row(span.position + t).data());
    }
  }
}

}  // namespace

void attend(const BlockContext& context, std::int64_t layer, const SequenceBatch& batch, ConstMatrixView queries,
            ConstMatrixView keys, ConstMatrixView values, MatrixView out) {
  const model::ModelConfig& config = *context.config;
  const std::int64_t group = config.num_heads / config.num_kv_heads;
  std::vector<HeadTask> tasks;
  for (const SequenceSpan& span : batch) {
    if (span.cache != nullptr) store_in_cache(config, layer, span, keys, values);
    for (std::int64_t head = 0; head < config.num_heads; ++head) {
      for (std::int64_t first = 0; first < span.num_tokens; first += kQueriesPerTask) {
        tasks.push_back({&span, head, first});
      }
    }
  }
  context.pool->parallel_for(static_cast<std::int64_t>(tasks.size()), [&](std::int64_t index) {
    const HeadTask& task = tasks[static_cast<std::size_t>(index)];
    const SequenceSpan& span = *task.span;
    const std::int64_t kv_head = task.head / group;
    const std::int64_t kv_col = kv_head * config.head_dim;
    const bool cached = span.cache != nullptr;
    const ConstMatrixView k = cached ? ConstMatrixView(span.cache->keys(layer, kv_head))
                                     : keys.block(span.first_row, span.num_tokens, kv_col, config.head_dim);
    const ConstMatrixView v = cached ? ConstMatrixView(span.cache->values(layer, kv_head))
                                     : values.block(span.first_row, span.num_tokens, kv_col, config.head_dim);
    std::vector<float> scores;
    for (std::int64_t t = task.first; t < std::min(span.num_tokens, task.first + kQueriesPerTask); ++t) {
      const std::int64_t col = task.head * config.head_dim;
      attend_query(config, config.layers[static_cast<std::size_t>(layer)].sliding_window,
                   queries.row(span.first_row + t).data() + col, k, v, span.position + t, scores,
                   out.row(span.first_row + t).data() + col);
    }
  });
}

}  // namespace quernel::runtime
