// Models with sliding windows: pages come and go under the sequences, and nobody's answer changes.
#include <algorithm>

#include "serve/serving.h"

namespace quernel::serve {
namespace {

using test::Answer;
using test::answer_all;
using test::Serving;

// Windows in all layers, and in some.
std::vector<test::TinyModel> windowed_models() {
  std::vector<test::TinyModel> all;
  for (test::TinyModel& tiny : test::tiny_models()) {
    if (tiny.model_type != "mistral" && tiny.model_type != "gemma3_text") continue;
    tiny.config["max_position_embeddings"] = 2048;
    all.push_back(std::move(tiny));
  }
  return all;
}

// Long prompts with a common beginning, of which the second half goes on where the first half ended; repetition for guesses.
std::vector<Request> long_requests() {
  const std::vector<std::int32_t> beginning = test::random_tokens(400, test::kVocab, 99);
  std::vector<Request> requests = test::mixed_requests(8);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    Request& request = requests[i];
    request.prompt = beginning;
    const std::vector<std::int32_t> own =
        test::random_tokens(10 + 50 * static_cast<std::int64_t>(i % 4), test::kVocab, i % 4);
    request.prompt.insert(request.prompt.end(), own.begin(), own.end());
    if (i >= 4) request.prompt.insert(request.prompt.end(), {3, 4, 5});
    request.max_tokens = 40 + 10 * static_cast<std::int64_t>(i);
    request.sampler.logit_bias = {{5, 3.0}, {6, 3.0}, {7, 3.0}};
  }
  return requests;
}

TEST(Windows, SameTokensWhateverElseIsInTheBatch) {
  const std::vector<Request> requests = long_requests();
  for (const test::TinyModel& tiny : windowed_models())
    for (const int kv_bits : {16, 8, 4}) {
      SCOPED_TRACE(tiny.model_type + " kv " + std::to_string(kv_bits));
      Serving plenty({.kv_bits = kv_bits}, 2, tiny);
      const std::vector<Answer> alone = test::answers_alone(plenty, requests);
      const engine::PagePool& pages = plenty.model->pages();
      // What the longest of them needs and little more.
      std::uint64_t budget = 0;
      while (engine::PagePool::make(plenty.model->config(), kv_bits, budget).value().most_tokens() < 800)
        budget += pages.page_bytes(kv_bits);
      Serving little({.kv_bits = kv_bits, .kv_budget = budget}, 2, tiny);
      Usage sums;
      for (Serving* serving : {&plenty, &little})
        for (const std::int64_t pass_tokens : {64, 512}) {
          const auto scheduler = serving->scheduler({.pass_tokens = pass_tokens, .lookup = {.max_draft = 8}});
          test::expect_same_tokens(answer_all(*scheduler, requests), alone);
          sums.preemptions += scheduler->stats().preemptions;
          sums.accepted += scheduler->stats().accepted;
          sums.shared_tokens += scheduler->stats().shared_tokens;
        }
      EXPECT_GT(sums.preemptions, 0);
      EXPECT_GT(sums.accepted, 0);
      EXPECT_GT(sums.shared_tokens, 0);
    }
}

// A sequence may be as long as the context where only the window must be held.
TEST(Windows, TheBudgetIsForTheWindow) {
  const test::TinyModel tiny = windowed_models().front();
  const Serving probe({}, 1, tiny);
  Serving serving({.kv_budget = 32 * probe.model->pages().page_bytes(8)}, 1, tiny);
  EXPECT_GE(serving.model->pages().most_tokens(), 2048);
  const Request request{.prompt = {1, 2, 3}, .max_tokens = 2000};
  const Answer answer = answer_all(*serving.scheduler(), {request}).front();
  EXPECT_EQ(answer.end, EndReason::length);
  EXPECT_EQ(answer.tokens.size(), 2000U);
}

}  // namespace
}  // namespace quernel::serve
