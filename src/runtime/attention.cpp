#include "runtime/attention.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "base/checked.h"
#include "kernels/attention_float/table.h"

namespace quernel::runtime {
namespace {

namespace kernel = kernels::attention_float;

// Query rows (tokens * heads) of one task: keys are re-ordered once for all of them.
constexpr std::int64_t kRowsPerTask = 192;

// Some tokens of one sequence and the query heads of one key/value head.
struct Task {
  const SequenceSpan* span;
  std::int64_t kv_head;
  std::int64_t first_token;  // within the span
  std::int64_t num_tokens;
};

// Everything the tasks of one call share.
struct Inputs {
  const model::ModelConfig* config;
  std::int64_t layer;
  ConstMatrixView queries;
  MatrixView keys, values;
  MatrixView out;
};

void store_in_cache(const Inputs& in, const SequenceSpan& span) {
  const std::int64_t head_dim = in.config->head_dim;
  for (std::int64_t head = 0; head < in.config->num_kv_heads; ++head) {
    const MatrixView cached_keys = span.cache->keys(in.layer, head);
    const MatrixView cached_values = span.cache->values(in.layer, head);
    for (std::int64_t t = 0; t < span.num_tokens; ++t) {
      const float* key = in.keys.row(span.first_row + t).data() + head * head_dim;
      const float* value = in.values.row(span.first_row + t).data() + head * head_dim;
      std::copy(key, key + head_dim, cached_keys.row(span.position + t).data());
      std::copy(value, value + head_dim, cached_values.row(span.position + t).data());
    }
  }
}

void run(const Inputs& in, const Task& task, std::int64_t group, float* scratch) {
  const model::ModelConfig& config = *in.config;
  const SequenceSpan& span = *task.span;
  const std::int64_t head_dim = config.head_dim;
  const std::int64_t window = config.layers[static_cast<std::size_t>(in.layer)].sliding_window.value_or(0);
  const std::int64_t first_query = span.position + task.first_token;
  const std::int64_t first_key = window > 0 ? std::max<std::int64_t>(0, first_query + 1 - window) : 0;
  const std::int64_t num_keys = first_query + task.num_tokens - first_key;
  ConstMatrixView keys;
  ConstMatrixView values;
  if (span.cache != nullptr) {
    keys = ConstMatrixView(span.cache->keys(in.layer, task.kv_head)).row_block(first_key, num_keys);
    values = ConstMatrixView(span.cache->values(in.layer, task.kv_head)).row_block(first_key, num_keys);
  } else {
    keys = in.keys.block(span.first_row + first_key, num_keys, task.kv_head * head_dim, head_dim);
    values = in.values.block(span.first_row + first_key, num_keys, task.kv_head * head_dim, head_dim);
  }
  const std::int64_t row = span.first_row + task.first_token;
  const std::int64_t col = task.kv_head * group * head_dim;
  kernel::pick().run({.q = &in.queries(row, col),
                      .q_token_stride = in.queries.stride,
                      .q_head_stride = head_dim,
                      .num_tokens = task.num_tokens,
                      .num_heads = group,
                      .first_query = first_query,
                      .keys = keys.data,
                      .key_stride = keys.stride,
                      .values = values.data,
                      .value_stride = values.stride,
                      .num_keys = num_keys,
                      .first_key = first_key,
                      .head_dim = head_dim,
                      .scale = static_cast<float>(config.attention_scale),
                      .soft_cap = static_cast<float>(config.attention_softcap),
                      .window = window,
                      .out = &in.out(row, col),
                      .out_token_stride = in.out.stride,
                      .out_head_stride = head_dim,
                      .scratch = scratch});
}

// Tokens first ... end - 1 of the span. The last ones come first: they see the most keys, and long tasks should not be left for
// the end.
void add_tasks(const SequenceSpan& span, std::int64_t first, std::int64_t end, std::int64_t step,
               std::int64_t num_kv_heads, std::vector<Task>& tasks) {
  for (std::int64_t left = end - first; left > 0;) {
    const std::int64_t num_tokens = left % step == 0 ? step : left % step;
    left -= num_tokens;
    for (std::int64_t head = 0; head < num_kv_heads; ++head) tasks.push_back({&span, head, first + left, num_tokens});
  }
}

void run_tasks(const BlockContext& context, const Inputs& in, const std::vector<Task>& tasks) {
  const std::int64_t group = in.config->num_heads / in.config->num_kv_heads;
  std::int64_t most_tokens = 0;
  for (const Task& task : tasks) most_tokens = std::max(most_tokens, task.num_tokens);
  Workspace::Frame frame(context.workspace);
  const MatrixView scratch =
      frame.take(context.pool->num_threads(),
                 ceil_div<std::int64_t>(kernel::scratch_floats(in.config->head_dim, most_tokens, group), 16) * 16);
  context.pool->parallel_for_worker(static_cast<std::int64_t>(tasks.size()), [&](std::int64_t index, int worker) {
    run(in, tasks[static_cast<std::size_t>(index)], group, scratch.row(worker).data());
  });
}

// The page that ends before position `end`, of every head.
void round_full_page(const Inputs& in, const SequenceSpan& span, std::int64_t end, sys::ThreadPool& pool) {
  const std::int64_t head_dim = in.config->head_dim;
  const std::int64_t first = end - kPageTokens;
  pool.parallel_for(in.config->num_kv_heads, [&](std::int64_t head) {
    if (span.cache != nullptr) {
      simulate_full_page(span.cache->keys(in.layer, head).row_block(first, kPageTokens),
                         span.cache->values(in.layer, head).row_block(first, kPageTokens));
    } else {
      simulate_full_page(in.keys.block(span.first_row + first, kPageTokens, head * head_dim, head_dim),
                         in.values.block(span.first_row + first, kPageTokens, head * head_dim, head_dim));
    }
  });
}

// Every sequence up to the end of its page, then these pages are rounded, and so on.
void attend_by_pages(const BlockContext& context, const Inputs& in, const SequenceBatch& batch, std::int64_t step) {
  std::vector<std::int64_t> done(batch.size(), 0);
  for (std::vector<Task> tasks;; tasks.clear()) {
    const std::vector<std::int64_t> before = done;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const SequenceSpan& span = batch[i];
      const std::int64_t page_end = ((span.position + done[i]) / kPageTokens + 1) * kPageTokens;
      done[i] = std::min(span.num_tokens, page_end - span.position);
      add_tasks(span, before[i], done[i], step, in.config->num_kv_heads, tasks);
    }
    if (tasks.empty()) return;
    run_tasks(context, in, tasks);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const std::int64_t end = batch[i].position + done[i];
      const bool is_full = done[i] > before[i] && end % kPageTokens == 0 && end > kPageTokens;
      if (is_full) round_full_page(in, batch[i], end, *context.pool);
    }
  }
}

}  // namespace

void attend(const BlockContext& context, std::int64_t layer, const SequenceBatch& batch, ConstMatrixView queries,
            MatrixView keys, MatrixView values, MatrixView out) {
  const Inputs in{context.config, layer, queries, keys, values, out};
  const std::int64_t step = ceil_div(kRowsPerTask, in.config->num_heads / in.config->num_kv_heads);
  for (const SequenceSpan& span : batch)
    if (span.cache != nullptr) store_in_cache(in, span);
  if (has_pages(context.simulated)) {
    attend_by_pages(context, in, batch, step);
    return;
  }
  std::vector<Task> tasks;
  for (const SequenceSpan& span : batch) add_tasks(span, 0, span.num_tokens, step, in.config->num_kv_heads, tasks);
  run_tasks(context, in, tasks);
}

}  // namespace quernel::runtime
