#include "runtime/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "base/rng.h"

namespace quernel::runtime {
namespace {

constexpr int kDraws = 20000;

Sampler make(const SamplerOptions& options) { return Sampler::make(options).value(); }

std::map<std::int32_t, double> shares(const SamplerOptions& options, const std::vector<float>& logits) {
  Sampler sampler = make(options);
  std::map<std::int32_t, double> found;
  const std::vector<std::int32_t> context(kDraws, 0);  // a draw a position
  for (std::size_t i = 0; i < context.size(); ++i)
    found[sampler.sample(logits, std::span(context).first(i))] += 1.0 / kDraws;
  return found;
}

std::vector<float> logs(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

TEST(Sampler, GreedyTakesTheLargestAndTheLowestOfEquals) {
  Sampler sampler = make({});
  EXPECT_EQ(sampler.sample(std::vector<float>{1, 5, 3, 5}, {}), 1);
  EXPECT_EQ(sampler.sample(std::vector<float>{-3}, {}), 0);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(argmax(std::vector<float>{nan, 1, nan, 2, nan}), 3);
  EXPECT_EQ(argmax(std::vector<float>{nan, nan}), 0);
}

TEST(Sampler, DrawsInProportion) {
  const auto found = shares({.temperature = 1.0, .seed = 3}, logs({0.5, 0.2, 0.3}));
  EXPECT_NEAR(found.at(0), 0.5, 0.015);  // 4 standard deviations
  EXPECT_NEAR(found.at(1), 0.2, 0.015);
  EXPECT_NEAR(found.at(2), 0.3, 0.015);
}

TEST(Sampler, TemperatureSharpensAndFlattens) {
  EXPECT_NEAR(shares({.temperature = 0.5}, logs({0.5, 0.2, 0.3})).at(0), 0.25 / 0.38, 0.015);
  EXPECT_NEAR(shares({.temperature = 1e6}, logs({0.9, 0.05, 0.05})).at(1), 1.0 / 3.0, 0.015);
  EXPECT_EQ(shares({.temperature = 1e-6}, logs({0.4, 0.41, 0.19})).size(), 1U);
}

TEST(Sampler, TopKKeepsTheLowestIdsOfEquals) {
  const auto found = shares({.temperature = 1.0, .top_k = 2}, {1, 1, 1, 1});
  ASSERT_EQ(found.size(), 2U);
  EXPECT_NEAR(found.at(0), 0.5, 0.015);
  EXPECT_NEAR(found.at(1), 0.5, 0.015);
  EXPECT_EQ(shares({.temperature = 1.0, .top_k = 100}, {1, 1, 1, 1}).size(), 4U);
}

TEST(Sampler, TopPKeepsTheSmallestSetThatHoldsIt) {
  const std::vector<float> logits = logs({0.1, 0.5, 0.15, 0.25});
  EXPECT_EQ(shares({.temperature = 1.0, .top_p = 0.45}, logits).size(), 1U);
  const auto two = shares({.temperature = 1.0, .top_p = 0.7}, logits);
  ASSERT_EQ(two.size(), 2U);
  EXPECT_NEAR(two.at(1), 2.0 / 3.0, 0.015);
  EXPECT_EQ(shares({.temperature = 1.0, .top_p = 0.8}, logits).size(), 3U);
  EXPECT_EQ(shares({.temperature = 1.0, .top_p = 1.0}, logits).size(), 4U);
}

TEST(Sampler, MinPKeepsThoseNearTheLikeliest) {
  const std::vector<float> logits = logs({0.1, 0.5, 0.15, 0.25});
  EXPECT_EQ(shares({.temperature = 1.0, .min_p = 1.0}, logits).size(), 1U);
  EXPECT_EQ(shares({.temperature = 1.0, .min_p = 0.4}, logits).size(), 2U);
  EXPECT_EQ(shares({.temperature = 1.0, .min_p = 0.25}, logits).size(), 3U);
}

TEST(Sampler, RepetitionPenaltyCountsEachTokenOnce) {
  const std::vector<float> logits{2.0F, 1.5F, -1.0F};
  const std::vector<std::int32_t> seen{0, 0, 0};
  EXPECT_EQ(make({}).sample(logits, seen), 0);
  EXPECT_EQ(make({.repetition_penalty = 1.3}).sample(logits, seen), 0);  // 1.54: a second division would lose to 1.5
  EXPECT_EQ(make({.repetition_penalty = 1.4}).sample(logits, seen), 1);
  const std::vector<float> negative{-1.0F, -1.1F};
  EXPECT_EQ(make({.repetition_penalty = 1.2}).sample(negative, std::vector<std::int32_t>{0}), 1);
  const std::vector<std::int32_t> older{0, 1, 1};
  EXPECT_EQ(make({.repetition_penalty = 2.0, .repetition_window = 2}).sample(logits, older), 0);
  EXPECT_EQ(make({.repetition_penalty = 2.0}).sample(logits, std::vector<std::int32_t>{-5, 99}), 0) << "unknown ids";
}

TEST(Sampler, SeedDecidesTheSequence) {
  const std::vector<float> logits(50, 0.0F);
  const auto run = [&](std::uint64_t seed) {
    Sampler sampler = make({.temperature = 1.0, .seed = seed});
    std::vector<std::int32_t> tokens;
    for (int i = 0; i < 20; ++i) tokens.push_back(sampler.sample(logits, tokens));
    return tokens;
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
  // Each position by itself, by another sampler that draws backwards, as speculation does.
  const std::vector<std::int32_t> all = run(1);
  Sampler other = make({.temperature = 1.0, .seed = 1});
  for (std::size_t i = all.size(); i-- > 0;) EXPECT_EQ(other.sample(logits, std::span(all).first(i)), all[i]) << i;
}

// The tokens that top-p and min-p leave, from a sorted table.
TEST(Sampler, CutsAreThoseOfASortedTable) {
  CounterRng rng(5, "cuts");
  for (int trial = 0; trial < 40; ++trial) {
    std::vector<float> logits(30);
    for (float& logit : logits) logit = static_cast<float>(std::round(rng.normal() * 4) / 2);  // with ties
    const SamplerOptions options{.temperature = 0.5 + rng.uniform(),
                                 .top_k = static_cast<std::int64_t>(rng.below(12)),
                                 .top_p = 0.3 + 0.7 * rng.uniform(),
                                 .min_p = 0.2 * rng.uniform(),
                                 .seed = rng.next_u64()};
    std::vector<std::pair<double, std::int32_t>> table;
    for (std::size_t i = 0; i < logits.size(); ++i)
      table.emplace_back(-logits[i] / options.temperature, static_cast<std::int32_t>(i));
    std::sort(table.begin(), table.end());
    if (options.top_k > 0) table.resize(static_cast<std::size_t>(options.top_k));
    double total = 0;
    for (const auto& [energy, id] : table) total += std::exp(-energy);
    std::map<std::int32_t, double> expected;
    double sum = 0;
    for (const auto& [energy, id] : table) {
      if (sum >= options.top_p * total || std::exp(-energy) < options.min_p * std::exp(-table[0].first)) break;
      sum += expected[id] = std::exp(-energy);
    }
    const auto found = shares(options, logits);
    for (const auto& [id, share] : found) EXPECT_TRUE(expected.contains(id)) << trial;
    for (const auto& [id, weight] : expected) EXPECT_NEAR(found.contains(id) ? found.at(id) : 0, weight / sum, 0.02);
  }
}

TEST(Sampler, BiasBansAndLifts) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> logits{1.0F, 3.0F, 2.0F};
  EXPECT_EQ(make({.logit_bias = {{1, -inf}}}).sample(logits, {}), 2);
  EXPECT_EQ(make({.logit_bias = {{0, 2.5}, {99, 5}}}).sample(logits, {}), 0);
  EXPECT_EQ(shares({.temperature = 9.0, .logit_bias = {{1, -inf}, {2, -inf}}}, logits).size(), 1U);
}

TEST(Sampler, SurvivesBadLogits) {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(shares({.temperature = 1.0}, {-inf, 0.0F, nan}).at(1), shares({.temperature = 1.0}, {0.0F}).at(0));
  EXPECT_EQ(make({.temperature = 1.0}).sample(std::vector<float>{-inf, -inf}, {}), 0);
  EXPECT_EQ(make({.temperature = 1.0}).sample(std::vector<float>{0.0F, -1e30F, 1e30F}, {}), 2);
}

TEST(Sampler, RefusesOptionsOutOfRange) {
  const double nan = std::nan("");
  const auto refuses = [](const SamplerOptions& options) {
    const auto sampler = Sampler::make(options);
    ASSERT_FALSE(sampler.ok());
    EXPECT_EQ(sampler.error().fault, Fault::invalid_argument);
    EXPECT_FALSE(sampler.error().field.empty());
  };
  refuses({.temperature = -0.1});
  refuses({.temperature = nan});
  refuses({.top_k = -1});
  refuses({.top_p = 0.0});
  refuses({.top_p = 1.1});
  refuses({.min_p = -0.1});
  refuses({.min_p = 1.5});
  refuses({.repetition_penalty = 0.0});
  refuses({.repetition_penalty = nan});
  refuses({.presence_penalty = nan});
  refuses({.frequency_penalty = -INFINITY});
  refuses({.repetition_window = -1});
  refuses({.dry = {.multiplier = -1}});
  refuses({.dry = {.base = 0.5}});
  refuses({.dry = {.allowed_length = 0}});
  refuses({.dry = {.range = -1}});
  refuses({.logit_bias = {{-1, 0.0}}});
  refuses({.logit_bias = {{0, INFINITY}}});
  refuses({.logit_bias = {{0, nan}}});
}

// The best tokens decide alone where a sampler says so: the same token as from all logits, equal ones and what is no number among them.
TEST(Sampler, BestTokensDecideAsAllLogitsDo) {
  CounterRng rng(5, "logits");
  for (const SamplerOptions& options : {SamplerOptions{}, SamplerOptions{.temperature = 0.7, .top_k = 1},
                                        SamplerOptions{.temperature = 1.3, .top_k = 20},
                                        SamplerOptions{.temperature = 1.0, .top_k = 50, .top_p = 0.9, .min_p = 0.01}}) {
    Sampler sampler = make(options);
    ASSERT_GT(sampler.num_needed(), 0);
    std::vector<std::int32_t> context;
    for (int i = 0; i < 300; ++i) {
      std::vector<float> logits(200);
      for (float& logit : logits) logit = std::round(static_cast<float>(4.0 * rng.normal()));
      if (i % 3 == 0) logits[static_cast<std::size_t>(i % 200)] = NAN;
      if (i % 5 == 0) std::fill(logits.begin(), logits.begin() + 190, -INFINITY);
      if (i == 77) logits[40] = INFINITY;
      if (i == 78) std::fill(logits.begin(), logits.end(), -INFINITY);
      TopTokens best;
      best.begin(static_cast<std::size_t>(sampler.num_needed() + i % 2));
      for (std::size_t at = 0; at < logits.size(); at += 64)
        best.offer(std::span(logits).subspan(at, std::min<std::size_t>(64, logits.size() - at)),
                   static_cast<std::int64_t>(at));
      context.push_back(i);
      EXPECT_EQ(sampler.sample_top(best.best(), context), sampler.sample(logits, context)) << i;
    }
  }
  EXPECT_EQ(make({.temperature = 1.0}).num_needed(), 0);
  EXPECT_EQ(make({.temperature = 1.0, .top_k = 5, .presence_penalty = 0.5}).num_needed(), 0);
  EXPECT_EQ(make({.logit_bias = {{3, 1.0}}}).num_needed(), 0);
}

}  // namespace
}  // namespace quernel::runtime
