#include "eval/kld.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "eval/logit_cache.h"
#include "eval/statistics.h"
#include "eval/window_runner.h"
#include "kernels/rowwise/table.h"
#include "sys/clock.h"
#include "sys/interrupt.h"
#include "sys/memory.h"

namespace quernel::eval {

namespace {

// One value per scored position.
struct Scores {
  std::vector<double> kld, dp, nll, nll_reference, same_top;

  explicit Scores(std::size_t count) : kld(count), dp(count), nll(count), nll_reference(count), same_top(count) {}
};

// sum p_i d_i and sum p_i in double; d = reference - model.
std::pair<double, double> weighted_difference(std::span<const float> p, std::span<const float> reference,
                                              std::span<const float> model) {
  constexpr std::size_t kLanes = 8;  // independent sums, so that the additions overlap
  std::array<double, kLanes> sums{};
  std::array<double, kLanes> totals{};
  const std::size_t whole = p.size() / kLanes * kLanes;
  const auto add = [&](std::size_t i, std::size_t lane) {
    sums[lane] += static_cast<double>(p[i]) * (static_cast<double>(reference[i]) - static_cast<double>(model[i]));
    totals[lane] += static_cast<double>(p[i]);
  };
  for (std::size_t i = 0; i < whole; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) add(i + lane, lane);
  }
  for (std::size_t i = whole; i < p.size(); ++i) add(i, i - whole);
  std::pair<double, double> result{0.0, 0.0};
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    result.first += sums[lane];
    result.second += totals[lane];
  }
  return result;
}

// With p = e^r / R and q = e^m / M: sum p log(p / q) = sum p (r - m) - (log R - log M). A model against itself gives 0
// exactly.
void compare_row(std::span<const float> reference, std::span<const float> model, std::int32_t target, bool same_top,
                 std::vector<float>& scratch, std::size_t index, Scores& scores) {
  const kernels::rowwise::Functions& rowwise = kernels::rowwise::functions();
  const auto size = static_cast<std::int64_t>(reference.size());
  const double log_sum_reference = rowwise.log_sum_exp(reference.data(), size);
  const double log_sum_model = rowwise.log_sum_exp(model.data(), size);
  scratch.assign(reference.begin(), reference.end());
  rowwise.softmax(scratch.data(), size);
  const auto [difference, total] = weighted_difference(scratch, reference, model);
  const auto token = static_cast<std::size_t>(target);
  scores.kld[index] = difference / total - (log_sum_reference - log_sum_model);
  scores.nll[index] = log_sum_model - static_cast<double>(model[token]);
  scores.nll_reference[index] = log_sum_reference - static_cast<double>(reference[token]);
  scores.dp[index] = std::exp(-scores.nll[index]) - std::exp(-scores.nll_reference[index]);
  scores.same_top[index] = same_top ? 1.0 : 0.0;
}

class Comparison {
 public:
  Comparison(const WindowPlan& plan, std::span<const std::int32_t> tokens, sys::ThreadPool& pool)
      : plan_(plan),
        tokens_(tokens),
        pool_(pool),
        scores_(static_cast<std::size_t>(plan.num_scored())),
        scratch_(static_cast<std::size_t>(pool.num_threads())) {}

  Status add(const ScoredChunk& chunk, ConstMatrixView reference, std::span<const std::int32_t> top,
             ConstMatrixView model) {
    pool_.parallel_for_worker(chunk.num_rows, [&](std::int64_t row, int worker) {
      const bool same_top = argmax_of(model.row(row)) == top[static_cast<std::size_t>(row)];
      compare_row(reference.row(row), model.row(row), target_token(plan_, tokens_, chunk, row), same_top,
                  scratch_[static_cast<std::size_t>(worker)], static_cast<std::size_t>(chunk.first_row + row), scores_);
    });
    for (std::int64_t row = 0; row < chunk.num_rows; ++row) {
      const auto index = static_cast<std::size_t>(chunk.first_row + row);
      if (!std::isfinite(scores_.kld[index]) || !std::isfinite(scores_.nll[index])) {
        return Error(Fault::invalid_argument, fmt::format("logits are not finite at window {}, position {}",
                                                          chunk.window, chunk.first_position + row));
      }
    }
    return ok_status();
  }

  [[nodiscard]] const Scores& scores() const { return scores_; }

 private:
  const WindowPlan& plan_;
  std::span<const std::int32_t> tokens_;
  sys::ThreadPool& pool_;
  Scores scores_;
  std::vector<std::vector<float>> scratch_;  // by worker
};

void summarize(const Scores& scores, KldResult& result) {
  const Mean kld = mean_of(scores.kld);
  result.mean = kld.value;
  result.standard_error = kld.standard_error;
  std::vector<double> sorted = scores.kld;
  std::sort(sorted.begin(), sorted.end());
  result.median = quantile(sorted, 0.5);
  result.p90 = quantile(sorted, 0.9);
  result.p99 = quantile(sorted, 0.99);
  result.p999 = quantile(sorted, 0.999);
  result.max = sorted.back();
  const Mean top = mean_of(scores.same_top);
  result.top1 = top.value;
  result.top1_standard_error = top.standard_error;
  result.dp_mean = mean_of(scores.dp).value;
  double squares = 0.0;
  for (const double dp : scores.dp) squares += dp * dp;
  result.dp_rms = std::sqrt(squares / static_cast<double>(scores.dp.size()));
  const Mean nll = mean_of(scores.nll);
  result.perplexity = std::exp(nll.value);
  result.perplexity_standard_error = result.perplexity * nll.standard_error;
  const Mean reference = mean_of(scores.nll_reference);
  result.reference_perplexity = std::exp(reference.value);
  result.reference_perplexity_standard_error = result.reference_perplexity * reference.standard_error;
}

// The cache where it serves, else the model; the cache is filled where a folder is given and the disk allows it.
Result<std::unique_ptr<ReferenceRows>> open_reference(const ReferenceLoader& load, std::span<const std::int32_t> tokens,
                                                      const WindowPlan& plan, const KldOptions& options,
                                                      sys::ThreadPool& pool, sys::ProgressSink& progress,
                                                      bool& cache_used) {
  cache_used = false;
  std::string key;
  std::string path;
  if (!options.cache_folder.empty()) {
    key = cache_key(options.reference_identity, plan, tokens);
    path = cache_path(options.cache_folder, key);
    auto cached = make_cached_rows(plan, path, key, pool);
    cache_used = cached.ok();
    if (cached.ok()) return cached;
    if (cached.error().fault != Fault::not_found) {
      progress.on_warning("reference logits are computed again: " + to_string(cached.error()));
    }
  }
  QUERNEL_TRY(const runtime::FloatModel* model, load());
  if (!path.empty()) {
    auto recording = make_recording_rows(*model, tokens, plan, path, key, pool);
    if (recording.ok()) return recording;
    if (recording.error().fault == Fault::invalid_argument) return recording;
    progress.on_warning("reference logits are not kept: " + to_string(recording.error()));
  }
  return make_exact_rows(*model, tokens, plan, pool);
}

void report(sys::ProgressSink& progress, const WindowPlan& plan, std::int64_t windows_done, const Scores& scores,
            double seconds) {
  sys::ProgressEvent event;
  event.stage = "eval kld";
  event.done = windows_done;
  event.total = plan.count;
  const auto rows = static_cast<std::size_t>(windows_done * plan.scored_per_window);
  event.detail = fmt::format("kld {:.5f}", mean_of(std::span(scores.kld).first(rows)).value);
  event.remaining_seconds =
      seconds / static_cast<double>(windows_done) * static_cast<double>(plan.count - windows_done);
  event.resident_bytes = sys::resident_bytes();
  progress.on_progress(event);
}

}  // namespace

Result<KldResult> measure_kld(const runtime::LanguageModel& model, const ReferenceLoader& load_reference,
                              std::span<const std::int32_t> tokens, const KldOptions& options, sys::ThreadPool& pool,
                              sys::ProgressSink& progress) {
  const sys::Stopwatch watch;
  KldResult result;
  result.text_tokens = static_cast<std::int64_t>(tokens.size());
  QUERNEL_TRY(result.plan, plan_windows(Convention::llama_cpp, result.text_tokens, options.context, options.max_windows,
                                        options.bos));
  const WindowPlan& plan = result.plan;
  QUERNEL_TRY(WindowRunner runner, WindowRunner::create(model, tokens, plan));
  QUERNEL_TRY(const std::unique_ptr<ReferenceRows> reference,
              open_reference(load_reference, tokens, plan, options, pool, progress, result.cache_used));
  const std::int64_t vocab_size = model.config().vocab_size;
  if (reference->vocab_size() != vocab_size) {
    Error error(Fault::invalid_argument, "the two models have different vocabularies");
    return std::move(error).expect(fmt::format("{} tokens as the reference", reference->vocab_size()),
                                   fmt::format("{} tokens", vocab_size));
  }
  Comparison comparison(plan, tokens, pool);
  for (std::int64_t first = 0; first < plan.count; first += windows_per_batch(plan)) {
    const std::int64_t count = std::min(windows_per_batch(plan), plan.count - first);
    QUERNEL_TRY_STATUS(reference->run(first, count));
    QUERNEL_TRY_STATUS(runner.run(first, count));
    for (const ScoredChunk& chunk : scored_chunks(plan, vocab_size, first, count)) {
      QUERNEL_TRY_STATUS(sys::check_interrupt());
      QUERNEL_TRY(const MatrixView rows, reference->rows(chunk));
      QUERNEL_TRY_STATUS(comparison.add(chunk, rows, reference->top_tokens(), runner.logits(chunk)));
    }
    report(progress, plan, first + count, comparison.scores(), watch.seconds());
  }
  QUERNEL_TRY_STATUS(reference->finish());
  result.cache_step_max = reference->largest_step();
  summarize(comparison.scores(), result);
  result.scored_tokens = plan.num_scored();
  result.seconds = watch.seconds();
  return result;
}

}  // namespace quernel::eval
