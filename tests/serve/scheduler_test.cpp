#include "serve/scheduler.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <thread>

#include "serve/plain_sequence.h"
#include "serve/serving.h"
#include "text/utf8.h"

namespace quernel::serve {
namespace {

using test::Answer;
using test::answer_all;
using test::ask;
using test::Serving;

// Only letters, so that texts can be cut anywhere.
Request letters(std::int64_t max_tokens) {
  Request request{.prompt = {104, 105}, .max_tokens = max_tokens};
  for (std::int32_t id = 0; id < test::kVocab; ++id)
    if ((id < 'a' || id > 'z') && id != 256) request.sampler.logit_bias.push_back({id, -INFINITY});
  request.sampler.temperature = 1.0;
  request.sampler.seed = 3;
  return request;
}

std::int64_t total(const std::vector<Answer>& answers, std::int64_t Usage::* member) {
  std::int64_t sum = 0;
  for (const Answer& answer : answers) sum += answer.usage.*member;
  return sum;
}

TEST(Scheduler, AloneItFollowsAPlainLoopOverTheEngine) {
  Serving serving;
  for (Request request : test::mixed_requests(4)) {
    test::PlainSequence sequence(*serving.model);
    std::vector<std::int32_t> context = request.prompt;
    const auto expected = runtime::continue_sequence(sequence, context, context.size(),
                                                     {.max_tokens = request.max_tokens, .sampler = request.sampler})
                              .value();
    EXPECT_EQ(answer_all(*serving.scheduler(), {request}).front().tokens, expected.tokens);
  }
}

TEST(Scheduler, SameTokensWhateverElseIsInTheBatch) {
  const std::vector<Request> requests = test::mixed_requests(32);
  for (const int kv_bits : {16, 8, 4}) {
    SCOPED_TRACE(kv_bits);
    Serving one({.kv_bits = kv_bits}, 1);
    const std::vector<Answer> alone = test::answers_alone(one, requests);
    struct Case {
      int threads;
      std::int64_t pass_tokens, max_sequences, shelf_size;
    };
    for (const Case& c :
         {Case{1, 512, 64, 0}, Case{2, 40, 5, 3}, Case{3, 6, 64, 3}, Case{4, 512, 5, 3}, Case{4, 40, 64, 0}}) {
      SCOPED_TRACE(testing::Message() << c.threads << " threads, passes of " << c.pass_tokens);
      Serving serving({.kv_bits = kv_bits}, c.threads);
      const auto scheduler = serving.scheduler(
          {.max_sequences = c.max_sequences, .pass_tokens = c.pass_tokens, .shelf_size = c.shelf_size});
      const std::vector<Answer> together = answer_all(*scheduler, requests);
      test::expect_same_tokens(together, alone);
      const std::int64_t shared = total(together, &Usage::shared_tokens);
      EXPECT_EQ(scheduler->stats().shared_tokens, shared);
      if (c.max_sequences < 32) {  // who begins together has nothing to share
        EXPECT_GT(shared, 0);
      }
      EXPECT_EQ(scheduler->stats().read_tokens, total(together, &Usage::prompt_tokens) - shared);
      EXPECT_EQ(scheduler->stats().new_tokens, total(together, &Usage::new_tokens));
    }
  }
}

TEST(Scheduler, LittleMemoryDelaysButNeverChanges) {
  std::vector<Request> requests = test::mixed_requests(12);
  for (Request& request : requests) request.max_tokens += 90;  // beyond what admission looks ahead
  for (const int kv_bits : {16, 8, 4}) {
    SCOPED_TRACE(kv_bits);
    Serving plenty({.kv_bits = kv_bits});
    const std::vector<Answer> alone = test::answers_alone(plenty, requests);
    // What the longest request needs, and a little more.
    std::int64_t longest = 0;
    for (const Request& request : requests)
      longest = std::max(longest, static_cast<std::int64_t>(request.prompt.size()) + request.max_tokens);
    engine::PagePool probe = engine::PagePool::make(plenty.model->config(), kv_bits, 0).value();
    std::uint64_t budget = 0;
    while (engine::PagePool::make(plenty.model->config(), kv_bits, budget).value().most_tokens() < longest)
      budget += probe.page_bytes(4);
    Serving serving({.kv_bits = kv_bits, .kv_budget = budget + 2 * probe.page_bytes(kv_bits)});
    std::int64_t preemptions = 0;
    for (const std::int64_t pass_tokens : {8, 64, 512}) {
      const auto scheduler = serving.scheduler({.pass_tokens = pass_tokens});
      const std::vector<Answer> answers = answer_all(*scheduler, requests);
      test::expect_same_tokens(answers, alone);
      EXPECT_EQ(scheduler->stats().preemptions, total(answers, &Usage::preemptions));
      preemptions += scheduler->stats().preemptions;
    }
    EXPECT_GT(preemptions, 0);
  }
}

// Pages that somebody outside of the scheduler holds: nothing is left to give up, so the request fails and says why; the next one runs.
TEST(Scheduler, MemoryHeldByOthersFailsARequestAndSparesTheNext) {
  Serving serving({.kv_budget = 20000});
  const Request request{.prompt = test::random_tokens(40, test::kVocab, 1), .max_tokens = 3};
  const Answer expected = test::answers_alone(serving, {request}).front();
  ASSERT_EQ(expected.end, EndReason::length);
  const auto scheduler = serving.scheduler();
  {
    std::vector<engine::PagedCache> others;
    do {
      others.push_back(serving.model->make_cache());
    } while (others.back().reserve(1).ok());
    const Answer answer = answer_all(*scheduler, {request}).front();
    EXPECT_EQ(answer.end, EndReason::failed);
    ASSERT_TRUE(answer.error.has_value());
    EXPECT_EQ(answer.error->fault, serving.model->make_cache().reserve(1).error().fault);
    EXPECT_TRUE(answer.tokens.empty());
  }
  EXPECT_EQ(answer_all(*scheduler, {request}).front().tokens, expected.tokens);
}

TEST(Scheduler, AtMostSoManyRunAtOnce) {
  Serving serving;
  const auto scheduler = serving.scheduler({.max_sequences = 3});
  std::vector<Answer> answers(8);
  for (Answer& answer : answers) ask(*scheduler, {.prompt = {1, 2}, .max_tokens = 4}, answer);
  std::int64_t most = 0;
  while (scheduler->step()) most = std::max(most, scheduler->num_running());
  EXPECT_EQ(most, 3);
  for (const Answer& answer : answers) EXPECT_EQ(answer.tokens.size(), 4U);
}

TEST(Scheduler, ALongPromptDoesNotStopOthers) {
  Serving serving;
  const auto scheduler = serving.scheduler({.pass_tokens = 16});
  Answer quick;
  Answer slow;
  ask(*scheduler, {.prompt = {1, 2, 3}, .max_tokens = 60}, quick);
  scheduler->step();
  ASSERT_EQ(quick.tokens.size(), 1U);
  ask(*scheduler, {.prompt = test::random_tokens(200, test::kVocab, 1), .max_tokens = 5}, slow);
  std::size_t passes = 0;
  while (slow.tokens.empty()) {
    const std::size_t before = quick.tokens.size();
    scheduler->step();
    ++passes;
    EXPECT_EQ(quick.tokens.size(), before + 1) << "the other waited";
  }
  EXPECT_EQ(passes, 14U) << "200 tokens beside another's, 15 a pass";
  // Prompts are read in order of arrival.
  Answer late;
  ask(*scheduler, {.prompt = test::random_tokens(40, test::kVocab, 2), .max_tokens = 1}, late);
  scheduler->run_until_idle();
  EXPECT_EQ(late.end, EndReason::length);
}

TEST(Scheduler, CancellationFreesPages) {
  Serving serving;
  const auto scheduler = serving.scheduler({.shelf_size = 0});
  const std::vector<std::int32_t> prompt = test::random_tokens(100, test::kVocab, 1);
  std::vector<Answer> answers(3);
  const RequestId first = ask(*scheduler, {.prompt = prompt, .max_tokens = 100}, answers[0]);
  ask(*scheduler, {.prompt = {5, 6}, .max_tokens = 30}, answers[1]);
  for (int i = 0; i < 6; ++i) scheduler->step();
  ASSERT_EQ(answers[0].tokens.size(), 6U);
  const std::uint64_t free = serving.model->pages().free_bytes();
  scheduler->cancel(first);
  scheduler->cancel(first);
  scheduler->cancel(12345);
  scheduler->step();
  EXPECT_EQ(answers[0].end, EndReason::cancelled);
  EXPECT_EQ(answers[0].tokens.size(), 6U);
  EXPECT_EQ(serving.model->pages().free_bytes(), free + 4 * serving.model->pages().page_bytes(8));
  // One that is cancelled before it ran, and one that its own events end.
  const RequestId third = ask(*scheduler, {.prompt = {1}}, answers[2]);
  scheduler->cancel(third);
  scheduler->run_until_idle();
  EXPECT_EQ(answers[2].end, EndReason::cancelled);
  EXPECT_TRUE(answers[2].tokens.empty());
  EXPECT_EQ(answers[1].tokens.size(), 30U);
  Answer own;
  ask(*scheduler, {.prompt = {1, 2}, .on_event = [n = 0](const Event&) mutable { return ++n < 3; }}, own);
  scheduler->run_until_idle();
  EXPECT_EQ(own.end, EndReason::cancelled);
  EXPECT_EQ(own.tokens.size(), 3U);
  EXPECT_EQ(serving.model->pages().free_bytes(), serving.model->pages().budget_bytes());
}

TEST(Scheduler, StopsBeforeStopTokensAndTexts) {
  Serving serving;
  const auto scheduler = serving.scheduler();
  const Answer plain = answer_all(*scheduler, {letters(24)}).front();
  ASSERT_EQ(plain.end, EndReason::length);
  ASSERT_EQ(plain.text, serving.tokenizer.decode(plain.tokens));
  ASSERT_GE(plain.text.size(), 24U);
  // Texts that begin and end inside and across tokens: all stretches of the text.
  for (std::size_t at = 0; at < 20; at += 3)
    for (std::size_t size = 1; size < 5; ++size) {
      Request request = letters(24);
      const std::string stop = plain.text.substr(at, size);
      request.stop_texts = {"no such text", stop};
      const Answer stopped = answer_all(*scheduler, {request}).front();
      EXPECT_EQ(stopped.end, EndReason::stop_text);
      EXPECT_EQ(stopped.text, plain.text.substr(0, plain.text.find(stop)));
      EXPECT_TRUE(std::equal(stopped.tokens.begin(), stopped.tokens.end(), plain.tokens.begin()));
    }
  Request begun = letters(24);
  begun.stop_texts = {plain.text.substr(plain.text.size() - 3) + "!"};
  const Answer whole = answer_all(*scheduler, {begun}).front();
  EXPECT_EQ(whole.end, EndReason::length);
  EXPECT_EQ(whole.text, plain.text) << "what was held back";
  Request by_token = letters(24);
  by_token.stop_ids = {9999, plain.tokens[10]};
  const Answer stopped = answer_all(*scheduler, {by_token}).front();
  EXPECT_EQ(stopped.end, EndReason::stop_token);
  const auto first = std::find(plain.tokens.begin(), plain.tokens.end(), plain.tokens[10]);
  EXPECT_EQ(stopped.tokens, std::vector<std::int32_t>(plain.tokens.begin(), first));
}

TEST(Scheduler, NothingAskedNothingTold) {
  Serving serving;
  const auto scheduler = serving.scheduler();
  EXPECT_FALSE(scheduler->step());
  const Answer answer = answer_all(*scheduler, {{.prompt = {1, 2, 3}, .max_tokens = 0}}).front();
  EXPECT_EQ(answer.end, EndReason::length);
  EXPECT_TRUE(answer.tokens.empty());
}

// Characters of several bytes come whole, also where tokens cut them.
TEST(Scheduler, TextIsWholeCharacters) {
  Serving serving;
  Request request{.prompt = {1}, .max_tokens = 40};
  request.sampler.temperature = 2.0;
  for (std::int32_t id = 0; id < test::kVocab; ++id)
    if (id != 0xC3 && id != 0xA9) request.sampler.logit_bias.push_back({id, -INFINITY});
  std::string pieces;
  request.on_event = [&](const Event& event) {
    pieces += event.text;
    EXPECT_EQ(text::repair_utf8(event.text), event.text);
    return true;
  };
  const Answer answer = answer_all(*serving.scheduler(), {request}).front();
  EXPECT_NE(pieces.find("\xC3\xA9"), std::string::npos);
  EXPECT_EQ(pieces, text::repair_utf8(serving.tokenizer.decode(answer.tokens)));
}

TEST(Scheduler, AConversationReadsOnlyWhatIsNew) {
  for (const int kv_bits : {8, 4}) {
    Serving serving({.kv_bits = kv_bits});
    const auto scheduler = serving.scheduler();
    Request request{.prompt = test::random_tokens(50, test::kVocab, 1), .max_tokens = 20};
    const Answer first = answer_all(*scheduler, {request}).front();
    EXPECT_EQ(first.usage.shared_tokens, 0);
    request.prompt.insert(request.prompt.end(), first.tokens.begin(), first.tokens.end());
    request.prompt.insert(request.prompt.end(), {3, 1, 4});
    const Answer second = answer_all(*scheduler, {request}).front();
    EXPECT_EQ(second.usage.shared_tokens, 69) << "all but the last token, which was never fed";
    EXPECT_EQ(second.tokens, test::answers_alone(serving, {request}).front().tokens);
  }
}

TEST(Scheduler, RequestsComeFromOtherThreads) {
  Serving serving;
  const std::vector<Request> requests = test::mixed_requests(24);
  const std::vector<Answer> alone = test::answers_alone(serving, requests);
  const auto scheduler = serving.scheduler();
  std::vector<Answer> answers(requests.size());
  std::atomic<int> submitting = 4;
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (std::size_t i = t; i < requests.size(); i += 4) {
        ask(*scheduler, requests[i], answers[i]);
        const RequestId id = scheduler->submit({.prompt = {1}, .max_tokens = 200}).value();
        scheduler->cancel(id);
      }
      --submitting;
    });
  while (submitting.load() > 0) scheduler->step();
  for (std::thread& thread : threads) thread.join();
  scheduler->run_until_idle();
  test::expect_same_tokens(answers, alone);
}

}  // namespace
}  // namespace quernel::serve
