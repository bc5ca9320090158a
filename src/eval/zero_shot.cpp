#include "eval/zero_shot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "eval/continuation.h"
#include "sys/clock.h"
#include "sys/interrupt.h"
#include "sys/memory.h"

namespace quernel::eval {

namespace {

Error of_item(Error error, const Task& task, const TaskItem& item) {
  error.message = fmt::format("{}, item of line {}: {}", task.name, item.line, error.message);
  return error;
}

// The choices of all items as token sequences, batch by batch.
class BatchReader {
 public:
  BatchReader(const Task& task, std::size_t num_items, const PairEncoder& encoder)
      : task_(task), num_items_(num_items), encoder_(encoder) {}

  Result<std::vector<EncodedPair>> next(std::int64_t batch_tokens) {
    std::vector<EncodedPair> pairs;
    for (std::int64_t tokens = 0; item_ < num_items_ && tokens < batch_tokens;) {
      const TaskItem& item = task_.items[item_];
      const Choice& choice = item.choices[choice_];
      auto pair = encoder_.encode(item.context + choice.lead, choice.continuation);
      if (!pair.ok()) return of_item(std::move(pair).error(), task_, item);
      tokens += pair->num_fed();
      num_cut_ += pair->was_cut ? 1 : 0;
      pairs.push_back(std::move(pair).value());
      if (++choice_ < item.choices.size()) continue;
      choice_ = 0;
      ++item_;
    }
    return pairs;
  }
  [[nodiscard]] std::int64_t num_cut() const { return num_cut_; }

 private:
  const Task& task_;
  std::size_t num_items_;
  const PairEncoder& encoder_;
  std::size_t item_ = 0;
  std::size_t choice_ = 0;
  std::int64_t num_cut_ = 0;
};

// The index of the largest value, the first of equals. NaN never comes here.
std::size_t first_largest(std::span<const double> values) {
  return static_cast<std::size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

// Answers of the items whose choices all have a score.
class Tally {
 public:
  explicit Tally(const Task& task) : task_(task) {}

  Status add(std::span<const ContinuationScore> scores) {
    for (const ContinuationScore& score : scores) {
      const TaskItem& item = task_.items[right_.size()];
      if (!std::isfinite(score.log_likelihood)) {
        Error error(Fault::invalid_argument, "logits are not finite");
        return of_item(std::move(error).with_hint("the model's weights are damaged, or overflow on this text"), task_,
                       item);
      }
      open_.push_back(score);
      if (open_.size() == item.choices.size()) close(item);
    }
    return ok_status();
  }

  [[nodiscard]] std::size_t num_items() const { return right_.size(); }
  [[nodiscard]] Mean accuracy() const { return mean_of(right_); }
  [[nodiscard]] Mean normalized() const { return mean_of(right_normalized_); }
  [[nodiscard]] Mean gold_nll() const { return mean_of(gold_nll_); }

 private:
  void close(const TaskItem& item) {
    std::vector<double> sums;
    std::vector<double> normalized;
    for (std::size_t i = 0; i < open_.size(); ++i) {
      sums.push_back(open_[i].log_likelihood);
      normalized.push_back(open_[i].log_likelihood / static_cast<double>(item.choices[i].characters));
    }
    const bool is_right = task_.kind == TaskKind::lambada ? open_[item.gold].greedy : first_largest(sums) == item.gold;
    right_.push_back(is_right ? 1.0 : 0.0);
    right_normalized_.push_back(first_largest(normalized) == item.gold ? 1.0 : 0.0);
    gold_nll_.push_back(-sums[item.gold]);
    open_.clear();
  }

  const Task& task_;
  std::vector<ContinuationScore> open_;  // of the item in hand
  std::vector<double> right_, right_normalized_, gold_nll_;
};

void report(sys::ProgressSink& progress, const Task& task, const Tally& tally, std::size_t total, double seconds) {
  const auto done = static_cast<double>(tally.num_items());
  if (tally.num_items() == 0) return;
  sys::ProgressEvent event;
  event.stage = "eval " + task.name;
  event.done = static_cast<std::int64_t>(tally.num_items());
  event.total = static_cast<std::int64_t>(total);
  event.detail = fmt::format("acc {:.4f}", tally.accuracy().value);
  event.remaining_seconds = seconds / done * (static_cast<double>(total) - done);
  event.resident_bytes = sys::resident_bytes();
  progress.on_progress(event);
}

void warn_of_cuts(sys::ProgressSink& progress, const Task& task, std::int64_t count, std::int64_t positions) {
  if (count == 0) return;
  progress.on_warning(fmt::format("{}: {} contexts do not fit into the model's {} positions and were cut on the left",
                                  task.name, count, positions));
}

}  // namespace

Result<TaskResult> measure_task(const runtime::LanguageModel& model, const text::Tokenizer& tokenizer, const Task& task,
                                const ZeroShotOptions& options, sys::ThreadPool& pool, sys::ProgressSink& progress) {
  QUERNEL_CHECK(!task.items.empty() && options.max_items >= 0 && options.batch_tokens >= 1, "a task of {} items",
                task.items.size());
  const sys::Stopwatch watch;
  std::size_t total = task.items.size();
  if (options.max_items > 0) total = std::min(total, static_cast<std::size_t>(options.max_items));
  const std::int64_t positions = usable_positions(model.config());
  const PairEncoder encoder(tokenizer, positions);
  BatchReader reader(task, total, encoder);
  ContinuationScorer scorer(model, pool);
  Tally tally(task);
  while (tally.num_items() < total) {
    QUERNEL_TRY_STATUS(sys::check_interrupt());
    QUERNEL_TRY(const std::vector<EncodedPair> pairs, reader.next(options.batch_tokens));
    QUERNEL_TRY(const std::vector<ContinuationScore> scores, scorer.score(pairs));
    QUERNEL_TRY_STATUS(tally.add(scores));
    report(progress, task, tally, total, watch.seconds());
  }
  warn_of_cuts(progress, task, reader.num_cut(), positions);
  TaskResult result;
  result.name = task.name;
  result.kind = task.kind;
  result.accuracy = tally.accuracy();
  if (task.kind != TaskKind::lambada) result.normalized = tally.normalized();
  result.gold_nll = tally.gold_nll();
  result.num_items = static_cast<std::int64_t>(total);
  result.num_cut = reader.num_cut();
  result.seconds = watch.seconds();
  return result;
}

double mean_accuracy(std::span<const TaskResult> results) {
  QUERNEL_CHECK(!results.empty());
  double sum = 0.0;
  for (const TaskResult& result : results) sum += result.accuracy.value;
  return sum / static_cast<double>(results.size());
}

}  // namespace quernel::eval
