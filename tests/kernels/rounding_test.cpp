#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/rng.h"
#include "kernels/rounding/table.h"

namespace quernel::kernels::rounding {
namespace {

// Ordinary numbers, exact ties, both zeros, the ends of float and what is no number.
std::vector<float> awkward_values(std::size_t count, std::uint64_t seed) {
  const float special[] = {0.0F,
                           -0.0F,
                           0.5F,
                           -0.5F,
                           1.5F,
                           2.5F,
                           -2.5F,
                           7.5F,
                           -8.5F,
                           1e-40F,
                           -1e-40F,
                           1e38F,
                           -1e38F,
                           3e38F,
                           -3e38F,
                           std::numeric_limits<float>::infinity(),
                           -std::numeric_limits<float>::infinity(),
                           std::numeric_limits<float>::quiet_NaN()};
  CounterRng rng(seed, "values");
  std::vector<float> values(count);
  for (float& value : values) {
    value = rng.below(4) == 0 ? special[rng.below(std::size(special))] : static_cast<float>(rng.normal() * 4);
  }
  return values;
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

float nearest_level(float exact, float low, float high) {
  const float above = exact > low ? exact : low;
  return std::nearbyint(above < high ? above : high);
}

TEST(Rounding, CandidateLossesFollowTheFormula) {
  for (const Variant& variant : variants()) {
    if (!sys::can_use(variant.isa)) continue;
    SCOPED_TRACE(variant.name);
    const Functions* ops = &variant.functions;
    for (const std::int64_t lanes : {16, 32, 48, 112}) {
      for (const std::size_t count : {std::size_t{1}, std::size_t{7}, std::size_t{64}}) {
        CounterRng rng(5, "losses");
        std::vector<float> values(count), weights(count), inverse(static_cast<std::size_t>(lanes));
        for (float& value : values) value = static_cast<float>(rng.normal());
        for (float& weight : weights) weight = static_cast<float>(rng.uniform());
        for (float& scale : inverse) scale = static_cast<float>(1 + 9 * rng.uniform());
        std::vector<float> losses(inverse.size());
        ops->candidate_losses(values.data(), weights.data(), static_cast<std::int64_t>(count),
                              {inverse.data(), -5.0F, 10.0F, losses.data(), lanes});
        for (std::size_t c = 0; c < inverse.size(); ++c) {
          float sum = 0.0F;
          for (std::size_t k = 0; k < count; ++k) {
            const float exact = values[k] * inverse[c];
            const float difference = exact - nearest_level(exact, -5.0F, 10.0F);
            sum += weights[k] * (difference * difference);
          }
          ASSERT_EQ(losses[c], sum) << c;
        }
      }
    }
  }
}

TEST(Rounding, RoundsLanesToTheNearestLevelTiesToEven) {
  const std::vector<float> target = awkward_values(4096, 1);
  const std::size_t count = target.size();
  std::vector<float> scale(count), low(count), high(count);
  CounterRng rng(2, "scales");
  for (std::size_t i = 0; i < count; ++i) {
    scale[i] = rng.below(2) == 0 ? 1.0F : static_cast<float>(0.01 + rng.uniform());
    low[i] = -static_cast<float>(rng.below(16));
    high[i] = low[i] + 15.0F;
  }
  for (const Variant& variant : variants()) {
    if (!sys::can_use(variant.isa)) continue;
    SCOPED_TRACE(variant.name);
    const Functions* ops = &variant.functions;
    std::vector<float> value(count);
    std::vector<std::int32_t> level(count);
    ops->round_lanes(target.data(), scale.data(), low.data(), high.data(), static_cast<std::int64_t>(count),
                     value.data(), level.data());
    for (std::size_t i = 0; i < count; ++i) {
      const float expected = nearest_level(target[i] / scale[i], low[i], high[i]);
      ASSERT_EQ(static_cast<float>(level[i]), expected) << target[i] << " / " << scale[i];
      ASSERT_EQ(value[i], scale[i] * expected);
      ASSERT_TRUE(std::isfinite(value[i]));
    }
  }
}

TEST(Rounding, EveryVariantGivesTheSameBits) {
  const std::int64_t lanes = 48;
  const std::int64_t columns = 9;
  const std::vector<float> a = awkward_values(48, 3);
  const std::vector<float> b = awkward_values(48, 4);
  const std::vector<float> factor = awkward_values(9, 5);
  const std::vector<float> start = awkward_values(48 * 9, 6);
  struct Outcome {
    std::vector<float> error, block, losses;
  };
  const auto run = [&](const Functions& ops) {
    Outcome out{std::vector<float>(48), start, std::vector<float>(48)};
    ops.scaled_errors(a.data(), b.data(), 0.37F, lanes, out.error.data());
    ops.subtract_outer(factor.data(), out.error.data(), columns, lanes, out.block.data());
    ops.candidate_losses(a.data(), b.data(), 48, {start.data(), -3.0F, 4.0F, out.losses.data(), lanes});
    // The payload of a NaN is not promised; that it is one is.
    for (std::vector<float>* part : {&out.error, &out.block, &out.losses}) {
      for (float& value : *part) value = std::isnan(value) ? std::numeric_limits<float>::quiet_NaN() : value;
    }
    return out;
  };
  const Outcome expected = run(variants().back().functions);
  for (const Variant& variant : variants()) {
    if (!sys::can_use(variant.isa)) continue;
    SCOPED_TRACE(variant.name);
    const Functions* ops = &variant.functions;
    const Outcome out = run(*ops);
    EXPECT_TRUE(same_bits(out.error, expected.error));
    EXPECT_TRUE(same_bits(out.block, expected.block));
    EXPECT_TRUE(same_bits(out.losses, expected.losses));
  }
}

}  // namespace
}  // namespace quernel::kernels::rounding
