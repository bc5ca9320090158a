// Windows of a text through a model: hidden states of a few windows at a time, logits of a few rows at a time.
//
// Chunks   rows of a batch that are scored, never across windows, at most rows_per_chunk(); cut by the plan and the
//          vocabulary alone, so that results do not depend on threads
// Memory   hidden states of kBatchTokens tokens (or one window), logits of one chunk: at most kChunkBytes
// Errors   invalid_argument: a context beyond the model's positions, a token id outside its vocabulary
// Threads  one thread at a time
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "eval/windows.h"
#include "runtime/language_model.h"
#include "tensor/matrix.h"

namespace quernel::eval {

// Scored rows of one window.
struct ScoredChunk {
  std::int64_t window = 0;
  std::int64_t first_position = 0;  // within the window
  std::int64_t num_rows = 0;
  std::int64_t first_row = 0;  // number of its first row among all scored rows of the plan
};

std::int64_t windows_per_batch(const WindowPlan& plan);
std::int64_t rows_per_chunk(std::int64_t vocab_size);

// The chunks of windows first_window ... first_window + num_windows - 1, in order.
std::vector<ScoredChunk> scored_chunks(const WindowPlan& plan, std::int64_t vocab_size, std::int64_t first_window,
                                       std::int64_t num_windows);

// The token that the row of a chunk is scored against.
std::int32_t target_token(const WindowPlan& plan, std::span<const std::int32_t> tokens, const ScoredChunk& chunk,
                          std::int64_t row);

class WindowRunner {
 public:
  // All arguments must outlive the runner.
  static Result<WindowRunner> create(const runtime::LanguageModel& model, std::span<const std::int32_t> tokens,
                                     const WindowPlan& plan);

  Status run(std::int64_t first_window, std::int64_t num_windows);
  // [chunk.num_rows, vocab_size]; the chunk's window is among those of the last run(). Valid until the next call.
  MatrixView logits(const ScoredChunk& chunk);

 private:
  WindowRunner(const runtime::LanguageModel& model, std::span<const std::int32_t> tokens, const WindowPlan& plan);

  const runtime::LanguageModel* model_;
  std::span<const std::int32_t> tokens_;
  const WindowPlan* plan_;
  std::int64_t first_window_ = 0;
  std::int64_t num_windows_ = 0;
  Matrix hidden_;  // [windows_per_batch * context, hidden_size]
  Matrix logits_;  // [rows_per_chunk, vocab_size]
};

}  // namespace quernel::eval
