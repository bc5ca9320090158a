#include "quant/scale_search.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/rng.h"
#include "tensor/half.h"

namespace quernel::quant {
namespace {

GridSpec spec_of(int bits, Symmetry symmetry, ScaleSearch search, DType dtype = DType::f16) {
  GridSpec spec;
  spec.bits = bits;
  spec.symmetry = symmetry;
  spec.search = search;
  spec.scale_dtype = dtype;
  return spec;
}

GroupGrid find(const GridSpec& spec, const std::vector<float>& values, std::vector<float> weights = {}) {
  if (weights.empty()) weights.assign(values.size(), 1.0F);
  return GridFinder(spec).find(values, weights);
}

double loss_of(const GridSpec& spec, const GroupGrid& grid, const std::vector<float>& values,
               const std::vector<float>& weights) {
  double loss = 0.0;
  for (std::size_t k = 0; k < values.size(); ++k) {
    const double code = std::clamp(static_cast<double>(std::nearbyint(values[k] / grid.scale)) + grid.zero_point, 0.0,
                                   std::ldexp(1.0, spec.bits) - 1);
    const double error = values[k] - static_cast<double>(grid.scale) * (code - grid.zero_point);
    loss += weights[k] * error * error;
  }
  return loss;
}

TEST(ScaleSearch, MinMaxOfEachSymmetry) {
  const std::vector<float> values = {-0.75F, 0.25F, 3.0F, 1.0F};
  GroupGrid grid = find(spec_of(4, Symmetry::asymmetric, ScaleSearch::minmax), values);
  EXPECT_EQ(grid.scale, 0.25F);  // 3.75 / 15
  EXPECT_EQ(grid.zero_point, 3);
  grid = find(spec_of(4, Symmetry::symmetric, ScaleSearch::minmax), values);
  EXPECT_EQ(grid.scale, f16_to_float(float_to_f16(0.4F)));  // 6 / 15
  EXPECT_EQ(grid.zero_point, 8);
  grid = find(spec_of(4, Symmetry::full_range_symmetric, ScaleSearch::minmax), values);
  EXPECT_EQ(grid.scale, f16_to_float(float_to_f16(3.0F / 7.0F)));  // the positive side has 7 levels
  EXPECT_EQ(grid.zero_point, 8);
  grid = find(spec_of(4, Symmetry::full_range_symmetric, ScaleSearch::minmax), {0.5F, -2.0F});
  EXPECT_EQ(grid.scale, 0.25F);  // the negative side has 8
  grid = find(spec_of(2, Symmetry::asymmetric, ScaleSearch::minmax), {-1.0F, 2.0F});
  EXPECT_EQ(grid.scale, 1.0F);
  EXPECT_EQ(grid.zero_point, 1);
  grid = find(spec_of(8, Symmetry::asymmetric, ScaleSearch::minmax), {0.0F, 255.0F});
  EXPECT_EQ(grid.scale, 1.0F);
  EXPECT_EQ(grid.zero_point, 0);
}

TEST(ScaleSearch, AsymmetricRangesHoldZero) {
  const GridSpec spec = spec_of(4, Symmetry::asymmetric, ScaleSearch::minmax);
  EXPECT_EQ(find(spec, {3.0F, 1.5F}).zero_point, 0);
  EXPECT_EQ(find(spec, {3.0F, 1.5F}).scale, f16_to_float(float_to_f16(0.2F)));
  EXPECT_EQ(find(spec, {-3.0F, -1.5F}).zero_point, 15);
}

// The promise of the search: no trial of its own would have been better, judged in double.
TEST(ScaleSearch, FindsTheBestOfItsTrials) {
  CounterRng rng(3, "groups");
  for (const Symmetry symmetry : {Symmetry::asymmetric, Symmetry::symmetric, Symmetry::full_range_symmetric}) {
    for (const int bits : {2, 3, 4, 8}) {
      for (int trial = 0; trial < 20; ++trial) {
        std::vector<float> values(37), weights(37);
        for (float& value : values) value = static_cast<float>(rng.normal() * 0.05);
        for (float& weight : weights) weight = static_cast<float>(0.01 + rng.uniform());
        GridSpec spec = spec_of(bits, symmetry, ScaleSearch::weighted_mse);
        const GroupGrid found = find(spec, values, weights);
        const double loss = loss_of(spec, found, values, weights);
        spec.search = ScaleSearch::minmax;
        const GroupGrid whole = find(spec, values, weights);
        EXPECT_LE(loss, loss_of(spec, whole, values, weights) * (1 + 1e-5));
        for (int step = 0; step < spec.search_steps; ++step) {
          const double factor = 1.0 - 0.5 * step / (spec.search_steps - 1);
          const int reach = symmetry == Symmetry::asymmetric ? 1 : 0;
          for (int zero = whole.zero_point - reach; zero <= whole.zero_point + reach; ++zero) {
            if (zero < 0 || zero >= (1 << bits)) continue;
            GroupGrid other = whole;
            other.zero_point = zero;
            other.scale = round_to_dtype(static_cast<float>(whole.scale * factor), DType::f16);
            // The finder's trials start a little higher and so lie between these.
            EXPECT_LE(loss, loss_of(spec, other, values, weights) * 1.05 + 1e-12) << bits << " bits";
          }
        }
      }
    }
  }
}

TEST(ScaleSearch, WeightsDecideWhatIsClipped) {
  // One outlier: worth nothing it is clipped, worth much it is kept.
  std::vector<float> values(64), weights(64, 1.0F);
  CounterRng rng(4, "outlier");
  for (float& value : values) value = static_cast<float>(rng.uniform() - 0.5);
  values[10] = 2.0F;
  const GridSpec spec = spec_of(4, Symmetry::symmetric, ScaleSearch::weighted_mse);
  weights[10] = 1e-3F;
  const float clipped = find(spec, values, weights).scale;
  weights[10] = 1e3F;
  const float kept = find(spec, values, weights).scale;
  EXPECT_LT(clipped, 0.6 * 4.0 / 15);
  const float reached = std::nearbyint(2.0F / kept) * kept;
  EXPECT_NEAR(reached, 2.0F, 0.02);
}

TEST(ScaleSearch, ScalesAreValuesOfTheirType) {
  CounterRng rng(6, "types");
  for (const DType dtype : {DType::f16, DType::bf16, DType::f32}) {
    for (const double size : {1e-37, 1e-9, 3e-6, 1e-4, 0.02, 5.0, 5e4}) {
      for (const ScaleSearch search : {ScaleSearch::minmax, ScaleSearch::mse}) {
        std::vector<float> values(32);
        for (float& value : values) value = static_cast<float>(rng.normal() * size);
        const GroupGrid grid = find(spec_of(4, Symmetry::asymmetric, search, dtype), values);
        ASSERT_TRUE(grid.representable) << size;
        ASSERT_GT(grid.scale, 0.0F);
        ASSERT_TRUE(std::isfinite(grid.scale));
        ASSERT_EQ(round_to_dtype(grid.scale, dtype), grid.scale);
        ASSERT_TRUE(dtype == DType::f16 || grid.scale >= std::numeric_limits<float>::min());
      }
    }
  }
}

TEST(ScaleSearch, ZeroGroupsHaveADefinedGrid) {
  for (const Symmetry symmetry : {Symmetry::asymmetric, Symmetry::symmetric, Symmetry::full_range_symmetric}) {
    for (const ScaleSearch search : {ScaleSearch::minmax, ScaleSearch::mse}) {
      const GroupGrid grid = find(spec_of(4, symmetry, search), {0.0F, -0.0F, 0.0F});
      EXPECT_TRUE(grid.representable);
      EXPECT_EQ(grid.scale, 1.0F);
      EXPECT_EQ(grid.zero_point, 8);
    }
  }
}

TEST(ScaleSearch, ScalesBelowTheTypeTakeItsSmallest) {
  EXPECT_EQ(find(spec_of(4, Symmetry::asymmetric, ScaleSearch::minmax), {1e-12F, -1e-12F}).scale, 0x1p-24F);
  EXPECT_EQ(find(spec_of(4, Symmetry::asymmetric, ScaleSearch::mse), {1e-12F, -1e-12F}).scale, 0x1p-24F);
  EXPECT_EQ(find(spec_of(4, Symmetry::symmetric, ScaleSearch::mse, DType::f32), {1e-44F}).scale, 0x1p-126F);
}

TEST(ScaleSearch, ScalesAboveF16AreReported) {
  const std::vector<float> huge = {1e38F, -2e37F};
  EXPECT_FALSE(find(spec_of(4, Symmetry::asymmetric, ScaleSearch::minmax), huge).representable);
  EXPECT_FALSE(find(spec_of(4, Symmetry::asymmetric, ScaleSearch::mse), huge).representable);
  EXPECT_TRUE(find(spec_of(4, Symmetry::asymmetric, ScaleSearch::mse, DType::bf16), huge).representable);
  // The whole range does not fit, a clipped one does.
  const std::vector<float> large = {15 * 70000.0F, 0.0F};
  EXPECT_FALSE(find(spec_of(4, Symmetry::asymmetric, ScaleSearch::minmax), large).representable);
  const GroupGrid clipped = find(spec_of(4, Symmetry::asymmetric, ScaleSearch::mse), large);
  EXPECT_TRUE(clipped.representable);
  EXPECT_LE(clipped.scale, 65504.0F);
}

TEST(ScaleSearch, NoLevelOverflowsFloat) {
  const float most = std::numeric_limits<float>::max();
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const Symmetry symmetry : {Symmetry::asymmetric, Symmetry::symmetric, Symmetry::full_range_symmetric}) {
      for (const int bits : {2, 3, 4, 8}) {
        for (const auto& values : {std::vector<float>{most, -most}, {most, 0.0F}, {-most}, {most, -0.9F * most}}) {
          const GroupGrid grid = find(spec_of(bits, symmetry, ScaleSearch::mse, dtype), values);
          ASSERT_TRUE(grid.representable);
          const auto lowest = static_cast<float>(-grid.zero_point);
          const auto highest = static_cast<float>((1 << bits) - 1 - grid.zero_point);
          EXPECT_TRUE(std::isfinite(grid.scale * lowest)) << bits;
          EXPECT_TRUE(std::isfinite(grid.scale * highest)) << bits;
        }
      }
    }
  }
}

TEST(ScaleSearch, ValuesThatAreNoNumbersAreNotRepresentable) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const GridSpec spec = spec_of(4, Symmetry::asymmetric, ScaleSearch::mse);
  EXPECT_FALSE(find(spec, {1.0F, nan}).representable);
  EXPECT_FALSE(find(spec, {1.0F, -infinity}).representable);
}

TEST(ScaleSearch, RoundsToF16AsTheConversionDoes) {
  CounterRng rng(8, "f16");
  for (int i = 0; i < 200000; ++i) {
    const auto value = static_cast<float>(std::exp2(rng.uniform() * 44 - 28));
    ASSERT_EQ(round_to_dtype(value, DType::f16), f16_to_float(float_to_f16(value))) << value;
  }
  for (const float value : {65504.0F, 65519.0F, 65520.0F, 0x1p-14F, 0x1.ffcp-15F, 0x1p-24F, 0x1p-25F, 0x1.002p-1F}) {
    EXPECT_EQ(round_to_dtype(value, DType::f16), f16_to_float(float_to_f16(value))) << value;
  }
}

}  // namespace
}  // namespace quernel::quant
