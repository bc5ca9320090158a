// Sequences longer than the cache: refused, or their oldest pages are dropped, and it is said.
#include <algorithm>
#include <utility>

#include "serve/serving.h"

namespace quernel::serve {
namespace {

using test::Answer;
using test::answer_all;
using test::Serving;

std::vector<Request> long_requests() {
  std::vector<Request> requests = test::mixed_requests(12);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    requests[i].drop_oldest = true;
    requests[i].keep_tokens = static_cast<std::int64_t>(i % 3) * 20;
    requests[i].max_tokens = 200 + static_cast<std::int64_t>(i) * 10;
    requests[i].sampler.logit_bias = {{5, 3.0}, {6, 3.0}, {7, 3.0}};  // repetition for guesses
  }
  return requests;
}

TEST(Dropping, SaysWhatItDropsAndGoesOn) {
  Serving serving;
  const std::int64_t context = serving.model->config().max_positions;
  Request request{.prompt = {1, 2, 3}, .max_tokens = context + 100};
  EXPECT_FALSE(serving.scheduler()->submit(request).ok());
  request.drop_oldest = true;
  request.keep_tokens = 3;
  std::vector<std::int64_t> told_at;
  std::int64_t tokens = 3;
  request.on_event = [&](const Event& event) {
    tokens += event.token ? 1 : 0;
    if (event.dropped_tokens > 0) {
      EXPECT_EQ(event.dropped_tokens, 32);
      EXPECT_FALSE(event.token || event.end);
      told_at.push_back(tokens);
    }
    return event.dropped_tokens == 0;
  };
  const Answer answer = answer_all(*serving.scheduler(), {request}).front();
  EXPECT_EQ(answer.end, EndReason::length);
  EXPECT_EQ(answer.tokens.size(), static_cast<std::size_t>(context + 100));
  // The token behind a full cache is there when the page goes that makes room for it.
  EXPECT_EQ(told_at, (std::vector<std::int64_t>{context + 1, context + 33, context + 65, context + 97}));
  EXPECT_EQ(answer.usage.dropped_tokens, 128);
  // Up to there nothing differs from a request that fits.
  Request fits{.prompt = {1, 2, 3}, .max_tokens = context - 3};
  const Answer shorter = answer_all(*serving.scheduler(), {fits}).front();
  EXPECT_TRUE(std::equal(shorter.tokens.begin(), shorter.tokens.end(), answer.tokens.begin()));
}

TEST(Dropping, SameTokensWhateverElseIsInTheBatch) {
  const std::vector<Request> requests = long_requests();
  for (const int kv_bits : {16, 8, 4}) {
    SCOPED_TRACE(kv_bits);
    const engine::PagePool probe = engine::PagePool::make(Serving().model->config(), kv_bits, 0).value();
    // Less than the context: the budget is what ends.
    const std::uint64_t budget = (kv_bits == 4 ? 34 : 6) * probe.page_bytes(probe.open_bits());
    Serving serving({.kv_bits = kv_bits, .kv_budget = budget}, 1);
    ASSERT_LT(serving.model->pages().most_tokens(), serving.model->config().max_positions);
    const std::vector<Answer> alone = test::answers_alone(serving, requests);
    EXPECT_TRUE(std::all_of(alone.begin(), alone.end(), [](const Answer& a) { return a.usage.dropped_tokens > 0; }));
    std::int64_t preemptions = 0;
    std::int64_t accepted = 0;
    for (const auto& [pass_tokens, max_draft] : {std::pair{7, 0}, {64, 8}, {512, 8}}) {
      const auto scheduler = serving.scheduler({.pass_tokens = pass_tokens, .lookup = {.max_draft = max_draft}});
      test::expect_same_tokens(answer_all(*scheduler, requests), alone);
      preemptions += scheduler->stats().preemptions;
      accepted += scheduler->stats().accepted;
    }
    EXPECT_GT(preemptions, 0);
    EXPECT_GT(accepted, 0);
  }
}

TEST(Dropping, RefusesWhatCannotBe) {
  Serving serving;
  const auto scheduler = serving.scheduler();
  const std::int64_t context = serving.model->config().max_positions;
  Request request{.prompt = {1}, .max_tokens = 5, .drop_oldest = true};
  request.keep_tokens = context - 63;
  EXPECT_EQ(scheduler->submit(request).error().fault, Fault::limit_exceeded);
  request.keep_tokens = -1;
  EXPECT_EQ(scheduler->submit(request).error().fault, Fault::limit_exceeded);
  request.keep_tokens = context - 64;
  EXPECT_TRUE(scheduler->submit(request).ok());
  request.max_tokens = std::int64_t{1} << 24;
  EXPECT_EQ(scheduler->submit(request).error().fault, Fault::limit_exceeded);
  request.max_tokens = 5;
  request.prompt.assign(static_cast<std::size_t>(context + 1), 1);
  EXPECT_EQ(scheduler->submit(request).error().fault, Fault::limit_exceeded);
  request.prompt = {1};
  model::ModelConfig windows = serving.model->config();
  windows.layers.front().sliding_window = 64;
  EXPECT_EQ(check_request(request, windows, serving.model->pages(), true).error().fault, Fault::unsupported);
}

}  // namespace
}  // namespace quernel::serve
