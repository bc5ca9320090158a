// Speculation: the same tokens, fewer passes.
#include <algorithm>

#include "serve/serving.h"

namespace quernel::serve {
namespace {

using test::Answer;
using test::answer_all;
using test::Serving;

const LookupOptions kLookup{.max_draft = 8, .max_ngram = 6, .min_ngram = 1};

// Repetition in the prompts; biases towards few tokens make it in the answers.
std::vector<Request> repetitive_requests(bool sampled) {
  std::vector<Request> requests = test::mixed_requests(10);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    Request& request = requests[i];
    request.sampler = runtime::SamplerOptions();
    const std::vector<std::int32_t> once = request.prompt;
    request.prompt.insert(request.prompt.end(), once.begin(), once.end());
    request.max_tokens = 70;
    if (!sampled) continue;
    request.sampler.temperature = 0.7;
    request.sampler.seed = i;
    for (std::int32_t id = 5; id < test::kVocab; ++id) request.sampler.logit_bias.push_back({id, -1e9});
    if (i % 3 == 1) request.sampler.presence_penalty = 0.3;
    if (i % 3 == 2) request.stop_ids = {3};
  }
  return requests;
}

TEST(Speculation, LosesNothing) {
  for (const bool sampled : {false, true})
    for (const int kv_bits : {16, 8, 4}) {
      SCOPED_TRACE(testing::Message() << (sampled ? "sampled" : "greedy") << ", kv " << kv_bits);
      Serving serving({.kv_bits = kv_bits});
      const std::vector<Request> requests = repetitive_requests(sampled);
      const std::vector<Answer> alone = test::answers_alone(serving, requests);
      for (const std::int64_t max_draft : {1, 8, 40}) {
        LookupOptions lookup = kLookup;
        lookup.max_draft = max_draft;
        std::int64_t accepted = 0;
        std::int64_t rejected = 0;
        for (std::size_t i = 0; i < requests.size(); ++i) {
          const auto one = serving.scheduler({.shelf_size = 0, .lookup = lookup, .verify_rows = 64});
          test::expect_same_tokens(answer_all(*one, {requests[i]}), {alone[i]});
          accepted += one->stats().accepted;
          rejected += one->stats().drafted - one->stats().accepted;
        }
        EXPECT_GT(accepted, 0);
        EXPECT_GT(rejected, 0);
        const auto together = serving.scheduler({.lookup = lookup, .verify_rows = 20});
        test::expect_same_tokens(answer_all(*together, requests), alone);
        EXPECT_GT(together->stats().accepted, 0);
      }
    }
}

TEST(Speculation, SavesPasses) {
  Serving serving;
  Request request{.prompt = {1, 2, 3, 4, 5, 6, 1, 2, 3}, .max_tokens = 100};
  // Nothing but 7: the simplest repetition.
  request.sampler.logit_bias = {{7, 1e9}};
  const auto plain = serving.scheduler();
  const Answer expected = answer_all(*plain, {request}).front();
  const auto fast = serving.scheduler({.lookup = kLookup});
  const Answer found = answer_all(*fast, {request}).front();
  EXPECT_EQ(found.tokens, expected.tokens);
  EXPECT_EQ(plain->stats().passes, 100);
  EXPECT_LT(fast->stats().passes, 20);
  EXPECT_EQ(found.usage.accepted, fast->stats().accepted);
  EXPECT_EQ(found.usage.new_tokens, 100);
}

TEST(Speculation, ShortMemoryAndStopsChangeNothing) {
  for (const int kv_bits : {8, 4}) {
    Serving plenty({.kv_bits = kv_bits});
    std::vector<Request> requests = repetitive_requests(true);
    for (Request& request : requests) request.stop_texts = {std::string("\x01\x02\x01", 3), std::string("\x04\x04", 2)};
    const std::vector<Answer> alone = test::answers_alone(plenty, requests);
    EXPECT_TRUE(std::any_of(alone.begin(), alone.end(), [](const Answer& a) { return a.end == EndReason::stop_text; }));
    const std::uint64_t block = plenty.model->pages().page_bytes(8);
    Serving little({.kv_bits = kv_bits, .kv_budget = (kv_bits == 4 ? 38 : 9) * block});
    const auto scheduler = little.scheduler({.pass_tokens = 48, .lookup = kLookup, .verify_rows = 24});
    test::expect_same_tokens(answer_all(*scheduler, requests), alone);
    EXPECT_GT(scheduler->stats().accepted, 0);
  }
}

}  // namespace
}  // namespace quernel::serve
