// Measures of the integer runtime: near those of the float one, and the same to the bit for any threads and company.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <utility>

#include "engine/int_language_model.h"
#include "eval/continuation.h"
#include "eval/eval_fixture.h"
#include "eval/kld.h"
#include "eval/perplexity.h"

namespace quernel::eval {
namespace {

// Heads that pages can hold.
test::TinyModel paged_model(std::uint64_t seed) {
  test::TinyModel tiny = test::tiny_llama();
  tiny.head_dim = tiny.rotary_dim = 16;
  tiny.draw(seed);
  return tiny;
}

// A model in both runtimes.
struct Both {
  explicit Both(const test::TinyModel& tiny, const engine::EngineOptions& options, int threads = 2)
      : floats(tiny, threads) {
    auto loaded = engine::IntModel::load(*floats.checkpoint, floats.pool, options);
    if (!loaded.ok()) {
      ADD_FAILURE() << to_string(loaded.error());
      return;
    }
    model = std::make_unique<engine::IntModel>(std::move(loaded).value());
    integers = std::make_unique<engine::IntLanguageModel>(*model);
  }

  runtime::LoadedModel floats;
  std::unique_ptr<engine::IntModel> model;
  std::unique_ptr<engine::IntLanguageModel> integers;
};

constexpr engine::EngineOptions kWide{.activation_bits = 16, .kv_bits = 16};

PerplexityResult perplexity(const runtime::LanguageModel& model, std::span<const std::int32_t> tokens,
                            std::int64_t context, int threads = 2) {
  sys::ThreadPool pool(threads);
  PerplexityOptions options;
  options.context = context;
  auto result = measure_perplexity(model, tokens, options, pool);
  if (!result.ok()) ADD_FAILURE() << to_string(result.error());
  return std::move(result).value();
}

TEST(IntegerRuntime, PerplexityIsNearThatOfTheFloatRuntime) {
  const test::TinyModel tiny = paged_model(31);
  const Both both(tiny, kWide);
  const std::vector<std::int32_t> tokens = test::random_tokens(300, tiny.vocab, 2);
  const PerplexityResult expected = perplexity(*both.floats.model, tokens, 100);
  const PerplexityResult found = perplexity(*both.integers, tokens, 100);
  EXPECT_EQ(found.scored_tokens, expected.scored_tokens);
  EXPECT_NEAR(found.mean_nll, expected.mean_nll, 0.01);  // dense weights are packed in 8 bits
  EXPECT_NE(found.mean_nll, expected.mean_nll) << "not the float runtime";
}

TEST(IntegerRuntime, PerplexityDoesNotDependOnThreads) {
  const test::TinyModel tiny = paged_model(32);
  const std::vector<std::int32_t> tokens = test::random_tokens(700, tiny.vocab, 2);
  for (const int kv_bits : {16, 4}) {
    const engine::EngineOptions options{.activation_bits = 8, .kv_bits = kv_bits};
    const PerplexityResult one = perplexity(*Both(tiny, options, 1).integers, tokens, 100, 1);
    for (const int threads : {2, 3}) {
      const PerplexityResult other = perplexity(*Both(tiny, options, threads).integers, tokens, 100, threads);
      EXPECT_EQ(one.mean_nll, other.mean_nll) << threads;
      EXPECT_EQ(one.standard_error, other.standard_error) << threads;
    }
  }
}

// Windows of 120 go four to a pass: each alone gives the same, to the bit of its mean.
TEST(IntegerRuntime, PerplexityOfAWindowDoesNotDependOnItsCompany) {
  const test::TinyModel tiny = paged_model(33);
  const Both both(tiny, {.activation_bits = 8, .kv_bits = 4});
  const std::vector<std::int32_t> tokens = test::random_tokens(6 * 120, tiny.vocab, 2);
  double sum = 0.0;
  for (std::size_t window = 0; window < 6; ++window)
    sum += perplexity(*both.integers, std::span(tokens).subspan(window * 120, 120), 120).mean_nll;
  EXPECT_NEAR(perplexity(*both.integers, tokens, 120).mean_nll, sum / 6, 1e-12);
}

TEST(IntegerRuntime, HiddenStatesOfSequencesAreThoseOfEachAlone) {
  const test::TinyModel tiny = paged_model(34);
  const Both both(tiny, {.activation_bits = 8, .kv_bits = 4});
  // Groups of a pass: {200, 0, 300}, {600}, {1, 511}, {40}.
  const std::vector<std::int64_t> lengths{200, 0, 300, 600, 1, 511, 40};
  std::int64_t total = 0;
  for (const std::int64_t length : lengths) total += length;
  const std::vector<std::int32_t> tokens = test::random_tokens(total, tiny.vocab, 2);
  Matrix together(total, tiny.hidden);
  ASSERT_TRUE(both.integers->run_sequences(tokens, lengths, together).ok());
  std::int64_t first = 0;
  for (const std::int64_t length : lengths) {
    Matrix alone(length, tiny.hidden);
    const auto part = std::span(tokens).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(length));
    ASSERT_TRUE(both.integers->run_sequences(part, {&length, 1}, alone).ok());
    EXPECT_TRUE(runtime::same_bits(alone, together.view().row_block(first, length))) << "at row " << first;
    first += length;
  }
  EXPECT_EQ(both.model->pages().free_bytes(), both.model->pages().budget_bytes()) << "a cache is still held";
}

TEST(IntegerRuntime, AFullCacheIsAnError) {
  const test::TinyModel tiny = paged_model(35);
  const Both both(tiny, {.activation_bits = 8, .kv_bits = 16, .kv_budget = 1 << 16});
  const std::vector<std::int32_t> tokens = test::random_tokens(400, tiny.vocab, 2);
  sys::ThreadPool pool(2);
  PerplexityOptions options;
  options.context = 200;  // 5 pages of 12 KB fit
  const auto refused = measure_perplexity(*both.integers, tokens, options, pool);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().fault, Fault::limit_exceeded);
}

// The measured model may be the integer one, its reference is computed in floats.
TEST(IntegerRuntime, DivergesLittleFromItsFloatModel) {
  const test::TinyModel tiny = paged_model(36);
  const std::vector<std::int32_t> tokens = test::random_tokens(400, tiny.vocab, 2);
  sys::ThreadPool pool(2);
  const auto divergence = [&](const engine::EngineOptions& options) {
    const Both both(tiny, options);
    const auto load = [&]() -> Result<const runtime::FloatModel*> { return &*both.floats.model; };
    KldOptions how;
    how.context = 100;
    return measure_kld(*both.integers, load, tokens, how, pool).value();
  };
  const KldResult wide = divergence(kWide);
  const KldResult narrow = divergence({.activation_bits = 8, .kv_bits = 4});
  EXPECT_GT(wide.mean, 0.0);
  EXPECT_LT(wide.mean, 0.005);
  EXPECT_GT(narrow.mean, 1.5 * wide.mean);
  EXPECT_GT(wide.top1, 0.8);
}

TEST(IntegerRuntime, ContinuationsScoreTheSameInAnyBatch) {
  const test::TinyModel tiny = paged_model(37);
  const Both both(tiny, kWide);
  std::vector<EncodedPair> pairs;
  for (const std::int64_t size : {5, 30, 2, 300, 290}) {
    EncodedPair& pair = pairs.emplace_back();
    pair.tokens = test::random_tokens(size, tiny.vocab, static_cast<std::uint64_t>(size));
    pair.num_scored = (size + 1) / 2;
  }
  sys::ThreadPool pool(2);
  const auto together = ContinuationScorer(*both.integers, pool).score(pairs).value();
  const auto floats = ContinuationScorer(*both.floats.model, pool).score(pairs).value();
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const auto alone = ContinuationScorer(*both.integers, pool).score({&pairs[i], 1}).value();
    EXPECT_EQ(alone[0].log_likelihood, together[i].log_likelihood) << i;
    EXPECT_EQ(alone[0].greedy, together[i].greedy) << i;
    EXPECT_NEAR(together[i].log_likelihood, floats[i].log_likelihood, 0.1 * static_cast<double>(pairs[i].num_scored))
        << i;
  }
}

}  // namespace
}  // namespace quernel::eval
