// Perplexity of a model on a text.
//
// Formula  ppl = exp(mean nll), nll = -log softmax(logits)[next token]; standard error by the delta method:
//          ppl * sqrt(var(nll) / (n - 1)), as if tokens were independent (so do other tools; it is a lower bound)
// Exact    log-sum-exp of float logits with double sums; the same bytes for any number of threads
// Memory   hidden states of one batch of windows and logits of one chunk of rows, never of a whole window
// Errors   as eval/windows.h; invalid_argument naming the window where logits are not finite; interrupted
// Threads  one thread at a time
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/result.h"
#include "eval/windows.h"
#include "runtime/language_model.h"
#include "sys/progress.h"
#include "sys/thread_pool.h"

namespace quernel::eval {

struct PerplexityOptions {
  Convention convention = Convention::gptq;
  std::int64_t context = 0;         // 0: 2048 or 512, by convention
  std::int64_t max_windows = 0;     // 0: all
  std::optional<std::int32_t> bos;  // llama_cpp only, see eval/windows.h
};

struct PerplexityResult {
  double perplexity = 0.0;
  double standard_error = 0.0;  // of perplexity
  double mean_nll = 0.0;        // nats a token
  double nll_standard_error = 0.0;
  std::int64_t scored_tokens = 0;
  std::int64_t text_tokens = 0;
  WindowPlan plan;
  Convention convention = Convention::gptq;
  double seconds = 0.0;
};

Result<PerplexityResult> measure_perplexity(const runtime::LanguageModel& model, std::span<const std::int32_t> tokens,
                                            const PerplexityOptions& options, sys::ThreadPool& pool,
                                            sys::ProgressSink& progress = sys::null_progress());

}  // namespace quernel::eval
