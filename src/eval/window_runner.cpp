#include "eval/window_runner.h"

#include <algorithm>

namespace quernel::eval {

namespace {

constexpr std::int64_t kBatchTokens = 4096;                   // hidden states of a batch stay a few MB
constexpr std::int64_t kChunkBytes = std::int64_t{96} << 20;  // 512 rows of a vocabulary of 49,152

}  // namespace

std::int64_t windows_per_batch(const WindowPlan& plan) {
  return std::clamp<std::int64_t>(kBatchTokens / plan.context, 1, plan.count);
}

std::int64_t rows_per_chunk(std::int64_t vocab_size) {
  return std::clamp<std::int64_t>(kChunkBytes / (vocab_size * static_cast<std::int64_t>(sizeof(float))), 1, 512);
}

std::vector<ScoredChunk> scored_chunks(const WindowPlan& plan, std::int64_t vocab_size, std::int64_t first_window,
                                       std::int64_t num_windows) {
  std::vector<ScoredChunk> chunks;
  const std::int64_t step = rows_per_chunk(vocab_size);
  for (std::int64_t window = first_window; window < first_window + num_windows; ++window) {
    for (std::int64_t row = 0; row < plan.scored_per_window; row += step) {
      ScoredChunk& chunk = chunks.emplace_back();
      chunk.window = window;
      chunk.first_position = plan.first_scored + row;
      chunk.num_rows = std::min(step, plan.scored_per_window - row);
      chunk.first_row = window * plan.scored_per_window + row;
    }
  }
  return chunks;
}

std::int32_t target_token(const WindowPlan& plan, std::span<const std::int32_t> tokens, const ScoredChunk& chunk,
                          std::int64_t row) {
  return tokens[static_cast<std::size_t>(chunk.window * plan.context + chunk.first_position + row + 1)];
}

WindowRunner::WindowRunner(const runtime::LanguageModel& model, std::span<const std::int32_t> tokens,
                           const WindowPlan& plan)
    : model_(&model),
      tokens_(tokens),
      plan_(&plan),
      hidden_(Matrix::uninitialized(windows_per_batch(plan) * plan.context, model.config().hidden_size)),
      logits_(Matrix::uninitialized(std::min(rows_per_chunk(model.config().vocab_size), plan.scored_per_window),
                                    model.config().vocab_size)) {}

Result<WindowRunner> WindowRunner::create(const runtime::LanguageModel& model, std::span<const std::int32_t> tokens,
                                          const WindowPlan& plan) {
  const std::int64_t positions = model.config().max_positions;
  if (positions > 0 && plan.context > positions) {
    Error error(Fault::invalid_argument, "context is longer than the model was made for");
    return std::move(error)
        .expect(fmt::format("at most {} tokens", positions), fmt::format("{} tokens", plan.context))
        .with_hint("use a smaller --ctx");
  }
  return WindowRunner(model, tokens, plan);
}

Status WindowRunner::run(std::int64_t first_window, std::int64_t num_windows) {
  QUERNEL_CHECK(num_windows >= 1 && num_windows <= windows_per_batch(*plan_), "{} windows at once", num_windows);
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < num_windows; ++i) {
    const std::vector<std::int32_t> window = window_tokens(*plan_, tokens_, first_window + i);
    ids.insert(ids.end(), window.begin(), window.end());
  }
  first_window_ = first_window;
  num_windows_ = num_windows;
  const std::vector<std::int64_t> lengths(static_cast<std::size_t>(num_windows), plan_->context);
  return model_->run_sequences(ids, lengths, hidden_.view().row_block(0, num_windows * plan_->context));
}

MatrixView WindowRunner::logits(const ScoredChunk& chunk) {
  const std::int64_t window = chunk.window - first_window_;
  QUERNEL_CHECK(window >= 0 && window < num_windows_, "window {} was not run", chunk.window);
  const MatrixView out = logits_.view().row_block(0, chunk.num_rows);
  model_->logits(hidden_.view().row_block(window * plan_->context + chunk.first_position, chunk.num_rows), out);
  return out;
}

}  // namespace quernel::eval
