#include "runtime/penalties.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "base/rng.h"

namespace quernel::runtime {
namespace {

std::vector<std::int32_t> random_context(CounterRng& rng, std::size_t size, std::uint64_t alphabet) {
  std::vector<std::int32_t> context(size);
  for (std::int32_t& id : context) id = static_cast<std::int32_t>(rng.below(alphabet));
  return context;
}

TEST(Penalties, SeenTokensLoseWhatTheFormulaSays) {
  CounterRng rng(1, "seen");
  for (int trial = 0; trial < 30; ++trial) {
    const std::vector<std::int32_t> context = random_context(rng, rng.below(40), 12);
    const SeenPenalties penalties{1.0 + rng.uniform(), rng.uniform(), rng.uniform() - 0.5,
                                  static_cast<std::int64_t>(rng.below(30))};
    std::vector<float> logits(10);  // ids 10 and 11 are unknown
    for (float& logit : logits) logit = static_cast<float>(rng.normal());
    std::vector<double> expected(logits.begin(), logits.end());
    const std::size_t skipped = penalties.window > 0 && context.size() > static_cast<std::size_t>(penalties.window)
                                    ? context.size() - static_cast<std::size_t>(penalties.window)
                                    : 0;
    for (std::size_t id = 0; id < logits.size(); ++id) {
      const auto count = std::count(context.begin() + static_cast<std::ptrdiff_t>(skipped), context.end(), id);
      if (count == 0) continue;
      expected[id] *= expected[id] > 0 ? 1 / penalties.repetition : penalties.repetition;
      expected[id] -= penalties.presence + static_cast<double>(count) * penalties.frequency;
    }
    penalize_seen(penalties, context, logits);
    for (std::size_t id = 0; id < logits.size(); ++id) EXPECT_NEAR(logits[id], expected[id], 1e-5) << id;
  }
}

// By trying for every earlier place how long a stretch before it equals the text's end.
std::map<std::int32_t, std::int64_t> longest_repeats(const std::vector<std::int32_t>& all, const DryOptions& options) {
  std::vector<std::int32_t> text = all;
  if (options.range > 0 && text.size() > static_cast<std::size_t>(options.range))
    text.erase(text.begin(), text.end() - options.range);
  const auto breaks = [&](std::int32_t id) {
    return std::find(options.breakers.begin(), options.breakers.end(), id) != options.breakers.end();
  };
  std::map<std::int32_t, std::int64_t> longest;
  const auto size = static_cast<std::int64_t>(text.size());
  const auto at = [&](std::int64_t i) { return text[static_cast<std::size_t>(i)]; };
  for (std::int64_t next = 1; next < size; ++next) {
    std::int64_t length = 0;
    while (length < next && at(next - 1 - length) == at(size - 1 - length) && !breaks(at(size - 1 - length))) ++length;
    if (length > 0 && !breaks(at(next))) longest[at(next)] = std::max(longest[at(next)], length);
  }
  return longest;
}

TEST(Penalties, DryIsThatOfTheDescription) {
  CounterRng rng(2, "dry");
  std::size_t penalized = 0;
  for (int trial = 0; trial < 200; ++trial) {
    const std::vector<std::int32_t> context = random_context(rng, rng.below(60), 2 + rng.below(3));
    DryOptions options{.multiplier = 0.8,
                       .base = 1.1,
                       .allowed_length = static_cast<std::int64_t>(1 + rng.below(4)),
                       .range = static_cast<std::int64_t>(rng.below(2) * 25)};
    if (trial % 3 == 0) options.breakers = {1};
    std::vector<float> logits(5, 1.0F);
    penalize_repeats(options, context, logits);
    const auto longest = longest_repeats(context, options);
    for (std::int32_t id = 0; id < 5; ++id) {
      double expected = 1.0;
      if (longest.contains(id) && longest.at(id) >= options.allowed_length) {
        expected -= options.multiplier * std::pow(options.base, longest.at(id) - options.allowed_length);
        ++penalized;
      }
      EXPECT_NEAR(logits[static_cast<std::size_t>(id)], expected, 1e-4) << trial << " id " << id;
    }
  }
  EXPECT_GT(penalized, 100U);
}

TEST(Penalties, DryOfEndlessRepetitionStaysFinite) {
  const std::vector<std::int32_t> context(5000, 1);
  std::vector<float> logits(3, 0.0F);
  penalize_repeats({.multiplier = 1.0, .base = 4.0}, context, logits);
  EXPECT_EQ(logits[0], 0.0F);
  EXPECT_LT(logits[1], -1e29F);
  EXPECT_TRUE(std::isfinite(logits[1]));
}

}  // namespace
}  // namespace quernel::runtime
