#include "runtime/generate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "runtime/model_fixture.h"

namespace quernel::runtime {
namespace {

using Tokens = std::vector<std::int32_t>;

class Generate : public testing::Test {
 protected:
  Generate() {
    tiny_ = test::tiny_llama();
    tiny_.draw(21);
    loaded_ = std::make_unique<LoadedModel>(tiny_);
    prompt_ = test::random_tokens(23, tiny_.vocab, 4);
  }
  [[nodiscard]] Generation run(const GenerateOptions& options, const TokenCallback& on_token = {}) const {
    auto result = generate(*loaded_->model, prompt_, options, on_token);
    if (!result.ok()) {
      ADD_FAILURE() << to_string(result.error());
      return {};
    }
    return std::move(result).value();
  }

  test::TinyModel tiny_;
  std::unique_ptr<LoadedModel> loaded_;
  Tokens prompt_;
};

TEST_F(Generate, GreedyFollowsTheReference) {
  Tokens sequence = prompt_;
  for (int i = 0; i < 8; ++i) {
    const MatrixF64 logits = test::reference_logits(tiny_, sequence);
    const auto last = logits.row(logits.rows() - 1);
    sequence.push_back(static_cast<std::int32_t>(std::max_element(last.begin(), last.end()) - last.begin()));
  }
  const Generation generation = run({.max_tokens = 8});
  EXPECT_EQ(generation.tokens, Tokens(sequence.begin() + 23, sequence.end()));
  EXPECT_EQ(generation.reason, StopReason::max_tokens);
  for (const std::int64_t chunk : {1, 7, 10, 22}) {
    EXPECT_EQ(run({.max_tokens = 8, .prefill_chunk = chunk}).tokens, generation.tokens) << chunk;
  }
}

TEST_F(Generate, CallbackSeesEveryTokenAndMayStop) {
  Tokens seen;
  const Generation whole = run({.max_tokens = 6}, [&](std::int32_t token) {
    seen.push_back(token);
    return true;
  });
  EXPECT_EQ(seen, whole.tokens);
  seen.clear();
  const Generation cut = run({.max_tokens = 6}, [&](std::int32_t token) {
    seen.push_back(token);
    return seen.size() < 3;
  });
  EXPECT_EQ(cut.reason, StopReason::callback);
  EXPECT_EQ(cut.tokens, Tokens(whole.tokens.begin(), whole.tokens.begin() + 3));
}

TEST_F(Generate, StopsBeforeAStopToken) {
  const Generation whole = run({.max_tokens = 6});
  const std::int32_t stop = whole.tokens[4];
  const auto first = std::find(whole.tokens.begin(), whole.tokens.end(), stop);
  Tokens seen;
  const Generation cut = run({.max_tokens = 6, .stop_ids = {stop}}, [&](std::int32_t token) {
    seen.push_back(token);
    return true;
  });
  EXPECT_EQ(cut.reason, StopReason::stop_token);
  EXPECT_EQ(cut.tokens, Tokens(whole.tokens.begin(), first));
  EXPECT_EQ(seen, cut.tokens);
}

TEST_F(Generate, SamplingRepeatsWithItsSeed) {
  const auto sampled = [&](std::uint64_t seed) {
    return run({.max_tokens = 12, .sampler = {.temperature = 1.5, .seed = seed}}).tokens;
  };
  EXPECT_EQ(sampled(1), sampled(1));
  EXPECT_NE(sampled(1), sampled(2));
}

TEST_F(Generate, NothingAskedNothingDone) {
  const Generation generation = run({.max_tokens = 0});
  EXPECT_TRUE(generation.tokens.empty());
  EXPECT_EQ(generation.reason, StopReason::max_tokens);
}

TEST_F(Generate, RefusesWhatDoesNotFit) {
  const auto fault = [&](const Tokens& prompt, const GenerateOptions& options) {
    const auto result = generate(*loaded_->model, prompt, options);
    EXPECT_FALSE(result.ok());
    return result.ok() ? Fault::usage : result.error().fault;
  };
  EXPECT_EQ(fault({}, {}), Fault::invalid_argument);
  EXPECT_EQ(fault({1, 61}, {}), Fault::invalid_argument);
  EXPECT_EQ(fault(prompt_, {.max_tokens = -1}), Fault::invalid_argument);
  EXPECT_EQ(fault(prompt_, {.prefill_chunk = 0}), Fault::invalid_argument);
  EXPECT_EQ(fault(prompt_, {.max_tokens = 1, .sampler = {.temperature = -1}}), Fault::invalid_argument);
  EXPECT_EQ(fault(prompt_, {.max_tokens = 234}), Fault::limit_exceeded) << "the model has 256 positions";
  EXPECT_EQ(fault(prompt_, {.max_tokens = std::int64_t{1} << 62}), Fault::limit_exceeded);
  EXPECT_EQ(fault(prompt_, {.max_tokens = 2, .context = 24}), Fault::limit_exceeded);
  EXPECT_TRUE(generate(*loaded_->model, prompt_, {.max_tokens = 1, .context = 24}).ok());
  EXPECT_EQ(fault(Tokens(300, 1), {.max_tokens = 0}), Fault::limit_exceeded);
}

}  // namespace
}  // namespace quernel::runtime
