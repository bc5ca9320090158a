#include "eval/perplexity.h"

#include <cmath>
#include <vector>

#include "eval/statistics.h"
#include "eval/window_runner.h"
#include "kernels/rowwise/table.h"
#include "sys/clock.h"
#include "sys/interrupt.h"
#include "sys/memory.h"

namespace quernel::eval {

namespace {

// Negative log-likelihoods of the chunk's rows into nll, by their number in the plan.
Status score_chunk(const WindowPlan& plan, std::span<const std::int32_t> tokens, const ScoredChunk& chunk,
                   ConstMatrixView logits, std::vector<double>& nll, sys::ThreadPool& pool) {
  const auto log_sum_exp = kernels::rowwise::functions().log_sum_exp;
  pool.parallel_for(chunk.num_rows, [&](std::int64_t row) {
    const std::span<const float> values = logits.row(row);
    const auto target = static_cast<std::size_t>(target_token(plan, tokens, chunk, row));
    nll[static_cast<std::size_t>(chunk.first_row + row)] =
        log_sum_exp(values.data(), logits.cols) - static_cast<double>(values[target]);
  });
  for (std::int64_t row = 0; row < chunk.num_rows; ++row) {
    if (!std::isfinite(nll[static_cast<std::size_t>(chunk.first_row + row)])) {
      Error error(Fault::invalid_argument, fmt::format("logits are not finite at window {}, position {}", chunk.window,
                                                       chunk.first_position + row));
      return std::move(error).with_hint("the model's weights are damaged, or overflow on this text");
    }
  }
  return ok_status();
}

void report(sys::ProgressSink& progress, const WindowPlan& plan, std::int64_t windows_done, std::span<const double> nll,
            double seconds) {
  sys::ProgressEvent event;
  event.stage = "eval ppl";
  event.done = windows_done;
  event.total = plan.count;
  const Mean mean = mean_of(nll.first(static_cast<std::size_t>(windows_done * plan.scored_per_window)));
  event.detail = fmt::format("ppl {:.4f}", std::exp(mean.value));
  event.remaining_seconds =
      seconds / static_cast<double>(windows_done) * static_cast<double>(plan.count - windows_done);
  event.resident_bytes = sys::resident_bytes();
  progress.on_progress(event);
}

}  // namespace

Result<PerplexityResult> measure_perplexity(const runtime::LanguageModel& model, std::span<const std::int32_t> tokens,
                                            const PerplexityOptions& options, sys::ThreadPool& pool,
                                            sys::ProgressSink& progress) {
  const sys::Stopwatch watch;
  PerplexityResult result;
  result.convention = options.convention;
  result.text_tokens = static_cast<std::int64_t>(tokens.size());
  QUERNEL_TRY(result.plan,
              plan_windows(options.convention, result.text_tokens, options.context, options.max_windows, options.bos));
  const WindowPlan& plan = result.plan;
  QUERNEL_TRY(WindowRunner runner, WindowRunner::create(model, tokens, plan));
  std::vector<double> nll(static_cast<std::size_t>(plan.num_scored()));
  for (std::int64_t first = 0; first < plan.count; first += windows_per_batch(plan)) {
    const std::int64_t count = std::min(windows_per_batch(plan), plan.count - first);
    QUERNEL_TRY_STATUS(runner.run(first, count));
    for (const ScoredChunk& chunk : scored_chunks(plan, model.config().vocab_size, first, count)) {
      QUERNEL_TRY_STATUS(sys::check_interrupt());
      QUERNEL_TRY_STATUS(score_chunk(plan, tokens, chunk, runner.logits(chunk), nll, pool));
    }
    report(progress, plan, first + count, nll, watch.seconds());
  }
  const Mean mean = mean_of(nll);
  result.mean_nll = mean.value;
  result.nll_standard_error = mean.standard_error;
  result.perplexity = std::exp(mean.value);
  result.standard_error = result.perplexity * mean.standard_error;
  result.scored_tokens = plan.num_scored();
  result.seconds = watch.seconds();
  return result;
}

}  // namespace quernel::eval
