// Zero-shot accuracy: items of a task scored by a model.
//
// Formulas  choice c of an item has the log-likelihood l(c) of its continuation and n(c) characters; ties: the first
//           acc       share of items whose gold has the largest l; lambada: all of its tokens are the likeliest
//           acc_norm  share of items whose gold has the largest l / n (not for lambada)
//           gold_nll  mean over items of -l(gold): finer than acc, since it moves without an answer changing
//           ppl       exp(gold_nll), lambada only: per last word, not per token
//           standard errors as eval/statistics.h: sqrt(p (1 - p) / (n - 1)) for a share p of n items
// Source    lm-evaluation-harness 0.4: multiple_choice, lambada_openai, mean_stderr
// Exact     eval/continuation.h: batches are cut by the items alone, so threads change nothing
// Memory    items, and one batch: it ends with the sequence that fills batch_tokens
// Errors    those of eval/continuation.h with the item's line; invalid_argument where logits are not finite;
//           interrupted
// Threads   one thread at a time
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "eval/statistics.h"
#include "eval/task_kinds.h"
#include "runtime/language_model.h"
#include "sys/progress.h"
#include "sys/thread_pool.h"
#include "text/tokenizer.h"

namespace quernel::eval {

struct Task {
  std::string name;  // of the report
  TaskKind kind = TaskKind::choices;
  std::vector<TaskItem> items;
};

struct ZeroShotOptions {
  std::int64_t max_items = 0;  // the first ones; 0: all
  std::int64_t batch_tokens = 4096;
};

struct TaskResult {
  std::string name;
  TaskKind kind = TaskKind::choices;
  Mean accuracy;
  std::optional<Mean> normalized;  // not for lambada
  Mean gold_nll;                   // nats an item
  std::int64_t num_items = 0;
  std::int64_t num_cut = 0;  // sequences that lost tokens on the left
  double seconds = 0.0;
};

// At least one item. Warns where sequences are cut.
Result<TaskResult> measure_task(const runtime::LanguageModel& model, const text::Tokenizer& tokenizer, const Task& task,
                                const ZeroShotOptions& options, sys::ThreadPool& pool,
                                sys::ProgressSink& progress = sys::null_progress());

double mean_accuracy(std::span<const TaskResult> results);  // each task weighs the same; at least one

}  // namespace quernel::eval
