#include "eval/zero_shot.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/rng.h"
#include "eval/task_fixture.h"
#include "sys/interrupt.h"

namespace quernel::eval {
namespace {

constexpr std::int64_t kPositions = 256;  // of the tiny model

std::string random_text(char first, CounterRng& rng, std::uint64_t longest) {
  constexpr std::string_view kLetters = "ab cdefgh. ";
  std::string text(1, first);
  for (std::uint64_t left = rng.below(longest); left > 0; --left) text += kLetters[rng.below(kLetters.size())];
  return text;
}

Task random_task(std::size_t count, TaskKind kind = TaskKind::choices) {
  CounterRng rng(5, "items");
  Task task;
  task.name = to_string(kind);
  task.kind = kind;
  for (std::size_t i = 0; i < count; ++i) {
    TaskItem& item = task.items.emplace_back();
    item.context = random_text('x', rng, 40);
    item.line = static_cast<std::int64_t>(i) + 1;
    const std::uint64_t num_choices = kind == TaskKind::lambada ? 1 : 2 + rng.below(4);
    for (std::uint64_t c = 0; c < num_choices; ++c) {
      const std::string text = random_text('y', rng, 9);
      item.choices.push_back({c == 1 ? "lead" : "", " " + text, static_cast<std::int64_t>(text.size())});
    }
    item.gold = rng.below(num_choices);
  }
  return task;
}

TaskResult measured(const runtime::LoadedModel& loaded, const Task& task, const ZeroShotOptions& options = {},
                    int threads = 2) {
  sys::ThreadPool pool(threads);
  auto result = measure_task(*loaded.model, make_tokenizer(task_vocabulary()), task, options, pool);
  if (!result.ok()) ADD_FAILURE() << to_string(result.error());
  return result.ok() ? *result : TaskResult{};
}

// The sums of an item's choices, by the reference forward.
std::vector<double> plain_sums(const test::TinyModel& tiny, const text::Tokenizer& tokenizer, const TaskItem& item) {
  std::vector<double> sums;
  for (const Choice& choice : item.choices) {
    const auto pair = PairEncoder(tokenizer, kPositions).encode(item.context + choice.lead, choice.continuation);
    sums.push_back(plain_score(tiny, *pair).log_likelihood);
  }
  return sums;
}

TEST(ZeroShot, IsThatOfAPlainLoopInDouble) {
  const test::TinyModel tiny = task_model(41);
  const text::Tokenizer tokenizer = make_tokenizer(task_vocabulary());
  const Task task = random_task(40);
  double right = 0.0;
  double right_normalized = 0.0;
  double nll = 0.0;
  for (const TaskItem& item : task.items) {
    const std::vector<double> sums = plain_sums(tiny, tokenizer, item);
    std::size_t best = 0;
    std::size_t best_normalized = 0;
    const auto normalized = [&](std::size_t c) { return sums[c] / static_cast<double>(item.choices[c].characters); };
    for (std::size_t c = 1; c < sums.size(); ++c) {
      if (sums[c] > sums[best]) best = c;
      if (normalized(c) > normalized(best_normalized)) best_normalized = c;
    }
    right += best == item.gold ? 1 : 0;
    right_normalized += best_normalized == item.gold ? 1 : 0;
    nll -= sums[item.gold];
  }
  const TaskResult result = measured(runtime::LoadedModel(tiny), task);
  EXPECT_EQ(result.num_items, 40);
  EXPECT_DOUBLE_EQ(result.accuracy.value, right / 40);
  EXPECT_DOUBLE_EQ(result.normalized.value().value, right_normalized / 40);
  EXPECT_NE(right, right_normalized) << "the test would not see them mixed up";
  EXPECT_NEAR(result.gold_nll.value, nll / 40, 1e-4);
  const double p = right / 40;
  EXPECT_NEAR(result.accuracy.standard_error, std::sqrt(p * (1 - p) / 39), 1e-12);
}

TEST(ZeroShot, LambadaCountsGreedyWords) {
  const test::TinyModel tiny = task_model(42);
  const text::Tokenizer tokenizer = make_tokenizer(task_vocabulary());
  Task task = random_task(30, TaskKind::lambada);
  // The likeliest letter by the plain forward in every second item, so that some are right.
  for (std::size_t i = 0; i < task.items.size(); i += 2) {
    TaskItem& item = task.items[i];
    item.context += 'x';  // merges with no letter
    const MatrixF64 log_p = plain_log_probabilities(tiny, tokenizer.encode(item.context));
    char best = '!';
    for (char letter = '!'; letter <= '~'; ++letter)
      if (log_p(log_p.rows() - 1, letter) > log_p(log_p.rows() - 1, best)) best = letter;
    item.choices[0].continuation = best;
  }
  double right = 0.0;
  double nll = 0.0;
  for (const TaskItem& item : task.items) {
    const auto pair = PairEncoder(tokenizer, kPositions).encode(item.context, item.choices[0].continuation);
    const ContinuationScore score = plain_score(tiny, *pair);
    right += score.greedy ? 1 : 0;
    nll -= score.log_likelihood;
  }
  const TaskResult result = measured(runtime::LoadedModel(tiny), task);
  EXPECT_GT(right, 0);
  EXPECT_LT(right, 30);
  EXPECT_DOUBLE_EQ(result.accuracy.value, right / 30);
  EXPECT_FALSE(result.normalized.has_value());
  EXPECT_NEAR(result.gold_nll.value, nll / 30, 1e-4);
}

TEST(ZeroShot, TheFirstOfEqualsWins) {
  const runtime::LoadedModel loaded(task_model(43));
  Task task = random_task(1);
  TaskItem& item = task.items[0];
  item.choices = {{"", " same", 4}, {"", " same", 4}};
  for (const std::size_t gold : {0U, 1U}) {
    item.gold = gold;
    const TaskResult result = measured(loaded, task, {.batch_tokens = 1});  // alone, so that their bytes are equal
    EXPECT_EQ(result.accuracy.value, gold == 0 ? 1.0 : 0.0);
    EXPECT_EQ(result.normalized.value().value, gold == 0 ? 1.0 : 0.0);
    EXPECT_EQ(result.accuracy.standard_error, 0.0);
  }
}

TEST(ZeroShot, BatchesChangeNothing) {
  const runtime::LoadedModel loaded(task_model(44));
  const Task task = random_task(25);
  const TaskResult whole = measured(loaded, task);
  for (const std::int64_t batch_tokens : {1, 60, 333}) {
    const TaskResult other = measured(loaded, task, {.batch_tokens = batch_tokens});
    EXPECT_EQ(other.num_items, 25);
    EXPECT_EQ(other.accuracy.value, whole.accuracy.value);
    EXPECT_EQ(other.normalized.value().value, whole.normalized.value().value);
    EXPECT_NEAR(other.gold_nll.value, whole.gold_nll.value, 1e-5);
  }
}

TEST(ZeroShot, DoesNotDependOnThreads) {
  const test::TinyModel tiny = task_model(45);
  const Task task = random_task(60);
  const TaskResult one = measured(runtime::LoadedModel(tiny, 1), task, {}, 1);
  for (const int threads : {2, 4}) {
    const TaskResult other = measured(runtime::LoadedModel(tiny, threads), task, {}, threads);
    EXPECT_EQ(one.accuracy.value, other.accuracy.value);
    EXPECT_EQ(one.gold_nll.value, other.gold_nll.value);
    EXPECT_EQ(one.gold_nll.standard_error, other.gold_nll.standard_error);
  }
}

TEST(ZeroShot, TakesTheFirstItems) {
  const runtime::LoadedModel loaded(task_model(46));
  Task task = random_task(20);
  const TaskResult part = measured(loaded, task, {.max_items = 7});
  EXPECT_EQ(measured(loaded, task, {.max_items = 21}).num_items, 20);
  task.items.resize(7);
  const TaskResult alone = measured(loaded, task);
  EXPECT_EQ(part.num_items, 7);
  EXPECT_EQ(part.gold_nll.value, alone.gold_nll.value);
}

TEST(ZeroShot, CutsLongContextsAndSaysSo) {
  const test::TinyModel tiny = task_model(47);
  const runtime::LoadedModel loaded(tiny);
  const text::Tokenizer tokenizer = make_tokenizer(task_vocabulary());
  Task task = random_task(3);
  task.items[1].context = std::string(400, 'x');
  sys::ThreadPool pool(2);
  RecordingSink sink;
  const auto result = measure_task(*loaded.model, tokenizer, task, {}, pool, sink);
  ASSERT_TRUE(result.ok()) << to_string(result.error());
  EXPECT_EQ(result->num_cut, static_cast<std::int64_t>(task.items[1].choices.size()));
  ASSERT_EQ(sink.warnings.size(), 1U);
  EXPECT_NE(sink.warnings[0].find("256"), std::string::npos) << sink.warnings[0];
  double nll = 0.0;
  for (const TaskItem& item : task.items) nll -= plain_sums(tiny, tokenizer, item)[item.gold];
  EXPECT_NEAR(result->gold_nll.value, nll / 3, 1e-4);
}

TEST(ZeroShot, SaysWhatIsWrong) {
  test::TinyModel tiny = task_model(48);
  const text::Tokenizer tokenizer = make_tokenizer(task_vocabulary());
  sys::ThreadPool pool(2);
  Task task = random_task(5);
  {
    const runtime::LoadedModel loaded(tiny);
    sys::request_interrupt();
    const auto stopped = measure_task(*loaded.model, tokenizer, task, {}, pool);
    sys::clear_interrupt();
    ASSERT_FALSE(stopped.ok());
    EXPECT_EQ(stopped.error().fault, Fault::interrupted);
    RecordingSink sink;
    ASSERT_TRUE(measure_task(*loaded.model, tokenizer, task, {}, pool, sink).ok());
    ASSERT_FALSE(sink.events.empty());
    EXPECT_EQ(sink.events.back().done, 5);
    EXPECT_EQ(sink.events.back().total, 5);
    Task endless = task;
    endless.items[3].choices[0].continuation = std::string(kPositions + 1, 'x');
    const auto refused = measure_task(*loaded.model, tokenizer, endless, {}, pool);
    ASSERT_FALSE(refused.ok());
    EXPECT_NE(refused.error().message.find("item of line 4"), std::string::npos) << refused.error().message;
  }
  for (float& value : tiny.tensors.at("model.norm.weight").values) value = std::numeric_limits<float>::infinity();
  const auto broken = measure_task(*runtime::LoadedModel(tiny).model, tokenizer, task, {}, pool);
  ASSERT_FALSE(broken.ok());
  EXPECT_NE(broken.error().message.find("not finite"), std::string::npos);
  EXPECT_NE(broken.error().message.find("item of line 1"), std::string::npos);
}

}  // namespace
}  // namespace quernel::eval
