#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "api/failure.h"
#include "api/loaded_model.h"
#include "api/measured_model.h"
#include "api/observer_sink.h"
#include "eval/kld.h"
#include "eval/perplexity.h"
#include "eval/report.h"
#include "eval/task_items.h"
#include "eval/zero_shot.h"
#include "model/tokenizer_source.h"
#include "quernel/quernel.h"
#include "sys/atomic_file.h"
#include "sys/mapped_file.h"

namespace quernel::api {

namespace {

std::string read_text(const std::string& path) {
  return std::string(take(sys::MappedFile::open(path, sys::Access::sequential)).text());
}

// BOS replaces the first token of a window where the vocabulary says that the model wants one.
std::optional<std::int32_t> window_bos(const text::Tokenizer& tokenizer) {
  return tokenizer.vocabulary().add_bos ? tokenizer.vocabulary().bos : std::nullopt;
}

// What the reference's logits depend on: its files by content, and how it is computed.
std::string reference_identity(const std::string& path, runtime::Precision precision) {
  return runtime::to_string(runtime::effective(precision)) + source_identity(path);
}

// The part of a text from a byte on; a sequence that is cut is skipped.
std::string tail_of(std::string text, std::int64_t first_byte) {
  if (first_byte <= 0) return text;
  if (static_cast<std::size_t>(first_byte) >= text.size())
    raise(Error(Fault::invalid_argument, "the text is shorter than that")
              .in_field("--from-byte")
              .expect(fmt::format("below {}", text.size()), std::to_string(first_byte)));
  auto begin = static_cast<std::size_t>(first_byte);
  constexpr unsigned kContinuationMask = 0xC0;
  constexpr unsigned kContinuation = 0x80;
  while (begin < text.size() && (static_cast<unsigned char>(text[begin]) & kContinuationMask) == kContinuation) ++begin;
  return text.substr(begin);
}

// "arc", or "arc:easy" for one of several files of a kind.
std::string task_name(const TaskFile& task, const std::vector<TaskFile>& all) {
  const auto same_kind = [&task](const TaskFile& other) { return other.kind == task.kind; };
  if (std::count_if(all.begin(), all.end(), same_kind) == 1) return task.kind;
  const std::string file = task.path.substr(task.path.find_last_of('/') + 1);
  return task.kind + ":" + file.substr(0, file.find_last_of('.'));
}

std::vector<eval::Task> read_tasks(const std::vector<TaskFile>& files) {
  if (files.empty()) raise(Error(Fault::usage, "no task was named").in_field("--task").expect("KIND=FILE", "nothing"));
  std::vector<eval::Task> tasks;
  for (const TaskFile& file : files) {
    eval::Task task;
    task.kind = take(eval::parse_task_kind(file.kind));
    task.name = task_name(file, files);
    const auto same_name = [&task](const eval::Task& other) { return other.name == task.name; };
    if (std::any_of(tasks.begin(), tasks.end(), same_name))
      raise(Error(Fault::usage, "the same task twice")
                .in_field("--task")
                .expect("files of different names", "two of '" + task.name + "'"));
    task.items = take(eval::read_task_items(task.kind, file.path));
    tasks.push_back(std::move(task));
  }
  return tasks;
}

}  // namespace

Report evaluate_perplexity(const PerplexityOptions& options, const Observer& observer) {
  ObserverSink sink(observer);
  eval::PerplexityOptions how;
  how.convention = take(eval::parse_convention(options.convention));
  how.context = options.context;
  how.max_windows = options.windows;
  const std::string text = read_text(options.text_path);
  const auto pool = make_pool(options.model.threads);
  const MeasuredModel measured = take(MeasuredModel::load(options.model, *pool));
  const text::Tokenizer tokenizer = take(model::load_tokenizer(measured.checkpoint()));
  if (how.convention == eval::Convention::llama_cpp) how.bos = window_bos(tokenizer);
  const std::vector<std::int32_t> tokens = eval::tokenize(how.convention, tokenizer, text);
  const eval::PerplexityResult result = take(eval::measure_perplexity(measured.model(), tokens, how, *pool, sink));
  return measured.report(eval::to_json(result), eval::to_table(result));
}

Report evaluate_kld(const KldOptions& options, const Observer& observer) {
  ObserverSink sink(observer);
  const runtime::Precision precision = take(reference_precision(options.model));
  const std::string text = tail_of(read_text(options.text_path), options.first_byte);
  const auto pool = make_pool(options.model.threads);
  const MeasuredModel measured = take(MeasuredModel::load(options.model, *pool));
  const text::Tokenizer tokenizer = take(model::load_tokenizer(measured.checkpoint()));
  eval::KldOptions how;
  how.context = options.context;
  how.max_windows = options.windows;
  how.bos = window_bos(tokenizer);
  if (options.use_cache) {
    how.cache_folder = cache_folder() + "/logits";
    take(sys::make_folders(how.cache_folder));
    how.reference_identity = reference_identity(options.reference_path, precision);
  }
  LoadedModel reference;
  const auto load_reference = [&]() -> Result<const runtime::FloatModel*> {
    QUERNEL_TRY(reference, load_model(options.reference_path, *pool, precision));
    return static_cast<const runtime::FloatModel*>(reference.model.get());
  };
  const std::vector<std::int32_t> tokens = eval::tokenize(eval::Convention::llama_cpp, tokenizer, text);
  const eval::KldResult result = take(eval::measure_kld(measured.model(), load_reference, tokens, how, *pool, sink));
  if (options.max_kld > 0 && result.mean > options.max_kld)
    raise(Error(Fault::verification_failed, "the mean divergence is above the gate")
              .in_field("--max-kld")
              .expect(fmt::format("at most {}", options.max_kld), fmt::format("{:.6f}", result.mean)));
  return measured.report(eval::to_json(result), eval::to_table(result));
}

Report evaluate_tasks(const TasksOptions& options, const Observer& observer) {
  ObserverSink sink(observer);
  if (options.limit < 0)
    raise(
        Error(Fault::usage, "number of items").in_field("--limit").expect("0 or more", std::to_string(options.limit)));
  const std::vector<eval::Task> tasks = read_tasks(options.tasks);
  const auto pool = make_pool(options.model.threads);
  const MeasuredModel measured = take(MeasuredModel::load(options.model, *pool));
  const text::Tokenizer tokenizer = take(model::load_tokenizer(measured.checkpoint()));
  std::vector<eval::TaskResult> results;
  for (const eval::Task& task : tasks) {
    const eval::ZeroShotOptions how{.max_items = options.limit};
    results.push_back(take(eval::measure_task(measured.model(), tokenizer, task, how, *pool, sink)));
  }
  return measured.report(eval::to_json(results), eval::to_table(results));
}

}  // namespace quernel::api
