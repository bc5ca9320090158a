// Kullback-Leibler divergence of a model's next-token distribution from a reference model's, token by token.
//
// Positions  those of the llama.cpp convention: the second half of each window, whatever the context (eval/windows.h)
// Formula    kld = sum_i p_i (log p_i - log q_i) in nats, p the reference; top1 = share of positions where both models'
//            most likely token is the same (the lowest id wins a tie); dp = q(next token) - p(next token)
// Quantiles  linear between order statistics
// Exact      a model against itself gives 0 and top1 = 1; the same bytes for any number of threads
// Cache      with a folder, the reference's logits are kept there in 16 bits each (eval/logit_cache.h) and the
//            reference need not be loaded the next time; the run that fills the cache reports from the stored values
//            too, so both runs agree. KldResult::cache_step_max says how coarse they are. Without a folder the
//            comparison is exact.
// Errors     as eval/windows.h; invalid_argument where the vocabularies differ; interrupted
// Threads    one thread at a time
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "eval/reference_rows.h"
#include "eval/windows.h"
#include "runtime/language_model.h"
#include "sys/progress.h"
#include "sys/thread_pool.h"

namespace quernel::eval {

struct KldOptions {
  std::int64_t context = 512;
  std::int64_t max_windows = 0;     // 0: all
  std::optional<std::int32_t> bos;  // in place of each window's first token
  std::string cache_folder;         // existing folder; empty: no cache
  std::string
      reference_identity;  // names the reference's files, their content and the precision it runs in; part of the key
};

struct KldResult {
  double mean = 0.0, standard_error = 0.0;
  double median = 0.0, p90 = 0.0, p99 = 0.0, p999 = 0.0, max = 0.0;
  double top1 = 0.0, top1_standard_error = 0.0;
  double dp_mean = 0.0, dp_rms = 0.0;
  double perplexity = 0.0, perplexity_standard_error = 0.0;
  double reference_perplexity = 0.0, reference_perplexity_standard_error = 0.0;
  std::int64_t scored_tokens = 0;
  std::int64_t text_tokens = 0;
  WindowPlan plan;
  bool cache_used = false;      // reference logits came from the cache
  double cache_step_max = 0.0;  // largest step of the stored logits, nats; each is off by half of it at most; 0: exact
  double seconds = 0.0;
};

Result<KldResult> measure_kld(const runtime::LanguageModel& model, const ReferenceLoader& load_reference,
                              std::span<const std::int32_t> tokens, const KldOptions& options, sys::ThreadPool& pool,
                              sys::ProgressSink& progress = sys::null_progress());

}  // namespace quernel::eval
