#include "eval/kld.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "eval/eval_fixture.h"

namespace quernel::eval {
namespace {

ReferenceLoader give(const runtime::LoadedModel& reference, int* calls = nullptr) {
  return [&reference, calls]() -> Result<const runtime::FloatModel*> {
    if (calls != nullptr) ++*calls;
    return &*reference.model;
  };
}

KldResult measured(const runtime::LoadedModel& loaded, const ReferenceLoader& reference,
                   const std::vector<std::int32_t>& tokens, const KldOptions& options,
                   sys::ProgressSink& sink = sys::null_progress(), int threads = 2) {
  sys::ThreadPool pool(threads);
  auto result = measure_kld(*loaded.model, reference, tokens, options, pool, sink);
  if (!result.ok()) ADD_FAILURE() << to_string(result.error());
  return std::move(result).value();
}

void expect_same(const KldResult& a, const KldResult& b) {
  EXPECT_EQ(a.mean, b.mean);
  EXPECT_EQ(a.standard_error, b.standard_error);
  EXPECT_EQ(a.median, b.median);
  EXPECT_EQ(a.p99, b.p99);
  EXPECT_EQ(a.max, b.max);
  EXPECT_EQ(a.top1, b.top1);
  EXPECT_EQ(a.dp_rms, b.dp_rms);
  EXPECT_EQ(a.perplexity, b.perplexity);
  EXPECT_EQ(a.reference_perplexity, b.reference_perplexity);
}

KldOptions options_of(std::int64_t context) {
  KldOptions options;
  options.context = context;
  return options;
}

TEST(Kld, OfAModelToItselfIsZero) {
  const test::TinyModel tiny = eval_model(41);
  const runtime::LoadedModel loaded(tiny);
  const std::vector<std::int32_t> tokens = test::random_tokens(200, tiny.vocab, 2);
  const KldResult result = measured(loaded, give(loaded), tokens, options_of(40));
  EXPECT_EQ(result.scored_tokens, 5 * 19);
  EXPECT_EQ(result.mean, 0.0);
  EXPECT_EQ(result.max, 0.0);
  EXPECT_EQ(result.p999, 0.0);
  EXPECT_EQ(result.top1, 1.0);
  EXPECT_EQ(result.dp_rms, 0.0);
  EXPECT_EQ(result.perplexity, result.reference_perplexity);
  EXPECT_EQ(result.cache_step_max, 0.0);
}

TEST(Kld, IsThatOfAPlainLoopInDouble) {
  const test::TinyModel reference = eval_model(42);
  const test::TinyModel model = perturbed(reference, 0.2F);
  const runtime::LoadedModel loaded(model);
  const runtime::LoadedModel loaded_reference(reference);
  const std::vector<std::int32_t> tokens = test::random_tokens(100, model.vocab, 2);
  const KldResult result = measured(loaded, give(loaded_reference), tokens, options_of(20));
  std::vector<double> kld;
  double same = 0.0, dp = 0.0, dp_squares = 0.0, nll = 0.0, nll_reference = 0.0;
  for (std::int64_t window = 0; window < 5; ++window) {
    const std::vector<std::int32_t> ids(tokens.begin() + 20 * window, tokens.begin() + 20 * (window + 1));
    const MatrixF64 p = plain_log_probabilities(reference, ids);
    const MatrixF64 q = plain_log_probabilities(model, ids);
    for (std::int64_t position = 10; position <= 18; ++position) {
      double sum = 0.0;
      for (std::int64_t c = 0; c < p.cols(); ++c) {
        sum += std::exp(p(position, c)) * (p(position, c) - q(position, c));
      }
      kld.push_back(sum);
      const auto top = [&](const MatrixF64& rows) {
        return std::max_element(&rows(position, 0), &rows(position, 0) + rows.cols()) - &rows(position, 0);
      };
      same += top(p) == top(q) ? 1.0 : 0.0;
      const std::int32_t target = ids[static_cast<std::size_t>(position) + 1];
      const double difference = std::exp(q(position, target)) - std::exp(p(position, target));
      dp += difference;
      dp_squares += difference * difference;
      nll -= q(position, target);
      nll_reference -= p(position, target);
    }
  }
  const auto count = static_cast<double>(kld.size());
  double mean = 0.0;
  for (const double value : kld) mean += value / count;
  std::sort(kld.begin(), kld.end());
  EXPECT_GT(mean, 1e-3);
  EXPECT_NEAR(result.mean, mean, 1e-5);
  EXPECT_NEAR(result.max, kld.back(), 2e-5);
  EXPECT_NEAR(result.median, kld[kld.size() / 2], 2e-5);
  EXPECT_NEAR(result.top1, same / count, 1e-12);
  EXPECT_LT(result.top1, 1.0);
  EXPECT_NEAR(result.dp_mean, dp / count, 1e-6);
  EXPECT_NEAR(result.dp_rms, std::sqrt(dp_squares / count), 1e-6);
  EXPECT_NEAR(result.perplexity, std::exp(nll / count), 1e-3);
  EXPECT_NEAR(result.reference_perplexity, std::exp(nll_reference / count), 1e-3);
}

// Blocks that add nothing, embeddings of ones and a head with one non-zero column: every position has the logits ln 3 at
// `peak` and 0 elsewhere (up to the epsilon of the norm), or 0 everywhere where peak is -1.
test::TinyModel known_logits(std::int32_t peak) {
  test::TinyModel tiny = eval_model(43);
  for (auto& [name, tensor] : tiny.tensors) {
    const bool adds =
        name.find("o_proj.weight") != std::string::npos || name.find("down_proj.weight") != std::string::npos;
    const bool is_one = name == "model.embed_tokens.weight" || name == "model.norm.weight";
    if (adds || name == "lm_head.weight") std::fill(tensor.values.begin(), tensor.values.end(), 0.0F);
    if (is_one) std::fill(tensor.values.begin(), tensor.values.end(), 1.0F);
  }
  if (peak >= 0) {
    auto& head = tiny.tensors.at("lm_head.weight");
    head.values[static_cast<std::size_t>(peak * head.cols)] = std::log(3.0F);
  }
  return tiny;
}

// 61 tokens: p = 3/63 at the peak and 1/63 elsewhere. All targets are token 0.
TEST(Kld, HandComputedCases) {
  const runtime::LoadedModel at_0(known_logits(0));
  const runtime::LoadedModel at_5(known_logits(5));
  const runtime::LoadedModel flat(known_logits(-1));
  const std::vector<std::int32_t> tokens(40, 0);
  const KldResult moved = measured(at_5, give(at_0), tokens, options_of(20));
  const double expected = 3.0 / 63 * std::log(3.0) + 1.0 / 63 * std::log(1.0 / 3);
  EXPECT_NEAR(moved.mean, expected, 1e-6);
  EXPECT_NEAR(moved.median, expected, 1e-6);
  EXPECT_NEAR(moved.max, expected, 1e-6);
  EXPECT_NEAR(moved.standard_error, 0.0, 1e-9);
  EXPECT_EQ(moved.top1, 0.0);
  EXPECT_NEAR(moved.dp_mean, 1.0 / 63 - 3.0 / 63, 1e-6);
  EXPECT_NEAR(moved.dp_rms, 2.0 / 63, 1e-6);
  EXPECT_NEAR(moved.perplexity, 63.0, 1e-3);
  EXPECT_NEAR(moved.reference_perplexity, 21.0, 1e-3);
  const KldResult flattened = measured(flat, give(at_0), tokens, options_of(20));
  EXPECT_NEAR(flattened.mean, 3.0 / 63 * std::log(3.0 / 63 * 61) + 60.0 / 63 * std::log(61.0 / 63), 1e-6);
  EXPECT_NEAR(flattened.perplexity, 61.0, 1e-3);
  EXPECT_EQ(flattened.top1, 1.0);  // the lowest id wins the tie of the flat one
}

TEST(Kld, DoesNotDependOnThreads) {
  const test::TinyModel reference = eval_model(44);
  const test::TinyModel model = perturbed(reference, 0.1F);
  const std::vector<std::int32_t> tokens = test::random_tokens(400, model.vocab, 2);
  const runtime::LoadedModel one_model(model, 1);
  const runtime::LoadedModel one_reference(reference, 1);
  const KldResult one = measured(one_model, give(one_reference), tokens, options_of(64), sys::null_progress(), 1);
  for (const int threads : {2, 4}) {
    const runtime::LoadedModel other_model(model, threads);
    const runtime::LoadedModel other_reference(reference, threads);
    expect_same(one,
                measured(other_model, give(other_reference), tokens, options_of(64), sys::null_progress(), threads));
  }
}

class KldCache : public testing::Test {
 protected:
  KldCache() : reference_tiny_(eval_model(45)), reference_(reference_tiny_), model_(perturbed(reference_tiny_, 0.1F)) {
    tokens_ = test::random_tokens(200, 61, 2);
    options_.context = 40;
    options_.cache_folder = folder_.path();
    options_.reference_identity = "the reference";
  }
  KldResult run(RecordingSink& sink, int* calls) {
    return measured(model_, give(reference_, calls), tokens_, options_, sink);
  }
  std::string cache_file() {
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) return entry.path().string();
    return {};
  }

  test::TinyModel reference_tiny_;
  runtime::LoadedModel reference_;
  runtime::LoadedModel model_;
  test::TempFolder folder_;
  std::vector<std::int32_t> tokens_;
  KldOptions options_;
};

TEST_F(KldCache, SecondRunAgreesAndNeedsNoReference) {
  RecordingSink sink;
  int calls = 0;
  const KldResult first = run(sink, &calls);
  EXPECT_EQ(calls, 1);
  EXPECT_FALSE(first.cache_used);
  EXPECT_GT(first.cache_step_max, 0.0);
  const KldResult second = run(sink, &calls);
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(second.cache_used);
  expect_same(first, second);
  EXPECT_EQ(first.cache_step_max, second.cache_step_max);
  EXPECT_TRUE(sink.warnings.empty());

  options_.cache_folder.clear();
  const KldResult exact = run(sink, &calls);
  EXPECT_EQ(exact.cache_step_max, 0.0);
  EXPECT_NEAR(exact.mean, second.mean, first.cache_step_max / 2);
  EXPECT_EQ(exact.top1, second.top1);
}

TEST_F(KldCache, DamagedCacheIsRebuilt) {
  RecordingSink sink;
  int calls = 0;
  const KldResult first = run(sink, &calls);
  std::string content = test::read_text(cache_file());
  content[content.size() / 2] = static_cast<char>(content[content.size() / 2] ^ 1);
  test::write_text(cache_file(), content);
  const KldResult again = run(sink, &calls);
  EXPECT_EQ(calls, 2);
  EXPECT_FALSE(again.cache_used);
  ASSERT_EQ(sink.warnings.size(), 1U);
  EXPECT_NE(sink.warnings[0].find("checksum"), std::string::npos) << sink.warnings[0];
  expect_same(first, again);
  EXPECT_TRUE(run(sink, &calls).cache_used);
}

TEST_F(KldCache, GoesOnWithoutACacheWhereItCannotBeWritten) {
  RecordingSink sink;
  options_.cache_folder = folder_ / "missing";
  const KldResult result = run(sink, nullptr);
  EXPECT_EQ(result.cache_step_max, 0.0);
  EXPECT_EQ(sink.warnings.size(), 1U);
}

TEST_F(KldCache, AnotherReferenceHasItsOwnCache) {
  RecordingSink sink;
  int calls = 0;
  run(sink, &calls);
  options_.reference_identity = "another reference";
  EXPECT_FALSE(run(sink, &calls).cache_used);
  EXPECT_EQ(calls, 2);
}

TEST(Kld, RefusesModelsOfDifferentVocabularies) {
  const runtime::LoadedModel model(eval_model(46));
  test::TinyModel larger = test::tiny_llama();
  larger.vocab = 70;
  larger.draw(46);
  const runtime::LoadedModel reference(larger);
  sys::ThreadPool pool(1);
  const auto tokens = test::random_tokens(60, 61, 2);
  const auto result = measure_kld(*model.model, give(reference), tokens, options_of(20), pool);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().found, "61 tokens");
}

TEST(Kld, PassesOnWhatTheLoaderSays) {
  const runtime::LoadedModel model(eval_model(47));
  sys::ThreadPool pool(1);
  const auto tokens = test::random_tokens(60, 61, 2);
  const auto result = measure_kld(
      *model.model, []() -> Result<const runtime::FloatModel*> { return Error(Fault::not_found, "no such model"); },
      tokens, options_of(20), pool);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().fault, Fault::not_found);
}

}  // namespace
}  // namespace quernel::eval
