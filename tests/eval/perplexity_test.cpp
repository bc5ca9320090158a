#include "eval/perplexity.h"

#include <gtest/gtest.h>

#include <limits>

#include "eval/eval_fixture.h"
#include "sys/interrupt.h"

namespace quernel::eval {
namespace {

PerplexityResult measured(const runtime::LoadedModel& loaded, const std::vector<std::int32_t>& tokens,
                          const PerplexityOptions& options, int threads = 2) {
  sys::ThreadPool pool(threads);
  auto result = measure_perplexity(*loaded.model, tokens, options, pool);
  if (!result.ok()) ADD_FAILURE() << to_string(result.error());
  return std::move(result).value();
}

TEST(Perplexity, IsThatOfAPlainLoopInDouble) {
  const test::TinyModel tiny = eval_model(21);
  const runtime::LoadedModel loaded(tiny);
  const std::vector<std::int32_t> tokens = test::random_tokens(95, tiny.vocab, 2);
  for (const Convention convention : {Convention::gptq, Convention::llama_cpp}) {
    PerplexityOptions options;
    options.convention = convention;
    options.context = 18;
    options.bos = 1;
    const PerplexityResult result = measured(loaded, tokens, options);
    std::vector<double> nll;
    for (std::size_t start = 0; start + 18 <= tokens.size(); start += 18) {
      std::vector<std::int32_t> window(tokens.begin() + static_cast<std::ptrdiff_t>(start),
                                       tokens.begin() + static_cast<std::ptrdiff_t>(start + 18));
      if (convention == Convention::llama_cpp) window[0] = 1;
      const MatrixF64 log_p = plain_log_probabilities(tiny, window);
      for (std::size_t target = convention == Convention::gptq ? 1 : 10; target < 18; ++target) {
        nll.push_back(-log_p(static_cast<std::int64_t>(target) - 1, window[target]));
      }
    }
    double sum = 0.0;
    for (const double value : nll) sum += value;
    const double mean = sum / static_cast<double>(nll.size());
    double variance = 0.0;
    for (const double value : nll) variance += (value - mean) * (value - mean) / static_cast<double>(nll.size() - 1);
    const double expected_error = std::sqrt(variance / static_cast<double>(nll.size()));
    EXPECT_EQ(result.scored_tokens, static_cast<std::int64_t>(nll.size()));
    EXPECT_EQ(result.plan.count, 5);
    EXPECT_NEAR(result.mean_nll, mean, 1e-5);
    EXPECT_NEAR(result.nll_standard_error, expected_error, 1e-5);
    EXPECT_NEAR(result.perplexity, std::exp(mean), 1e-5 * std::exp(mean));
    EXPECT_NEAR(result.standard_error, std::exp(mean) * expected_error, 1e-3);
  }
}

TEST(Perplexity, DoesNotDependOnThreads) {
  const test::TinyModel tiny = eval_model(22);
  const std::vector<std::int32_t> tokens = test::random_tokens(700, tiny.vocab, 2);
  PerplexityOptions options;
  options.context = 100;
  const PerplexityResult one = measured(runtime::LoadedModel(tiny, 1), tokens, options, 1);
  for (const int threads : {2, 4}) {
    const PerplexityResult other = measured(runtime::LoadedModel(tiny, threads), tokens, options, threads);
    EXPECT_EQ(one.perplexity, other.perplexity);
    EXPECT_EQ(one.standard_error, other.standard_error);
  }
}

TEST(Perplexity, TakesTheFirstWindows) {
  const test::TinyModel tiny = eval_model(23);
  const runtime::LoadedModel loaded(tiny);
  const std::vector<std::int32_t> tokens = test::random_tokens(700, tiny.vocab, 2);
  PerplexityOptions options;
  options.context = 50;
  options.max_windows = 3;
  const PerplexityResult part = measured(loaded, tokens, options);
  options.max_windows = 0;
  const PerplexityResult alone =
      measured(loaded, std::vector<std::int32_t>(tokens.begin(), tokens.begin() + 150), options);
  EXPECT_EQ(part.scored_tokens, 3 * 49);
  EXPECT_EQ(part.text_tokens, 700);
  EXPECT_EQ(part.perplexity, alone.perplexity);
}

TEST(Perplexity, SaysWhatIsWrong) {
  test::TinyModel tiny = eval_model(24);
  sys::ThreadPool pool(2);
  PerplexityOptions options;
  options.context = 20;
  const std::vector<std::int32_t> tokens = test::random_tokens(60, tiny.vocab, 2);
  {
    const runtime::LoadedModel loaded(tiny);
    const auto short_text = measure_perplexity(*loaded.model, std::span(tokens).first(19), options, pool);
    ASSERT_FALSE(short_text.ok());
    EXPECT_EQ(short_text.error().fault, Fault::invalid_argument);
    std::vector<std::int32_t> outside = tokens;
    outside[5] = static_cast<std::int32_t>(tiny.vocab);
    EXPECT_FALSE(measure_perplexity(*loaded.model, outside, options, pool).ok());
    sys::request_interrupt();
    const auto stopped = measure_perplexity(*loaded.model, tokens, options, pool);
    sys::clear_interrupt();
    ASSERT_FALSE(stopped.ok());
    EXPECT_EQ(stopped.error().fault, Fault::interrupted);
    RecordingSink sink;
    ASSERT_TRUE(measure_perplexity(*loaded.model, tokens, options, pool, sink).ok());
    ASSERT_FALSE(sink.events.empty());
    EXPECT_EQ(sink.events.back().done, 3);
    EXPECT_EQ(sink.events.back().total, 3);
  }
  for (float& value : tiny.tensors.at("model.norm.weight").values) value = std::numeric_limits<float>::infinity();
  const runtime::LoadedModel broken(tiny);
  const auto refused = measure_perplexity(*broken.model, tokens, options, pool);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("not finite"), std::string::npos);
}

}  // namespace
}  // namespace quernel::eval
