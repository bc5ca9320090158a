#include "quant/two_level_grid.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "quant/integer_grid.h"
#include "quant/samples.h"

namespace quernel::quant {
namespace {

// What plain rounding of a weight w, low <= w <= high, dequantizes to.
int plain_value(IntegerGroup group, int w) {
  const auto code = static_cast<int>(std::nearbyint(static_cast<double>(w) / group.scale)) + group.zero_point;
  return group.scale * (std::clamp(code, 0, 15) - group.zero_point);
}

// The paper's protective range: the largest p such that every range within [-p, p] dequantizes inside INT8.
TEST(TwoLevelGrid, ProtectiveRangeIs119) {
  const auto holds = [](int range) {
    for (int low = -range; low <= 0; ++low) {
      for (int high = 0; high <= range; ++high) {
        if (low == high) continue;
        const IntegerGroup group = plain_group(static_cast<float>(low), static_cast<float>(high));
        for (int w = low; w <= high; ++w) {
          const int value = plain_value(group, w);
          if (value < -128 || value > 127) return false;
        }
      }
    }
    return true;
  };
  EXPECT_TRUE(holds(kProtectiveRange));
  EXPECT_FALSE(holds(kProtectiveRange + 1));
}

// Ours: whatever error feedback asks for, every one of the 16 codes is an INT8 number. The range's ends are missed by a step and
// the 7.5 that rounding the scale leaves, at most.
TEST(TwoLevelGrid, EveryRangeIsHeldInInt8) {
  for (int low = -kProtectiveRange; low <= 0; ++low) {
    for (int high = 0; high <= kProtectiveRange; ++high) {
      if (low == high) continue;
      const IntegerGroup plain = plain_group(static_cast<float>(low), static_cast<float>(high));
      const IntegerGroup held = held_in_int8(plain);
      ASSERT_EQ(held.scale, plain.scale);
      ASSERT_LE(held.scale, codec::kMaxGroupScale);
      for (int code = 0; code < 16; ++code) {
        const int value = held.scale * (code - held.zero_point);
        ASSERT_TRUE(value >= -128 && value <= 127) << low << " " << high;
      }
      for (const int w : {low, high})
        ASSERT_LE(2 * std::abs(plain_value(held, w) - w), 2 * held.scale + 15) << low << " " << high;
    }
  }
}

GridSpec spec_of(std::int64_t group_size, ScaleSearch search = ScaleSearch::mse) {
  GridSpec spec;
  spec.group_size = group_size;
  spec.search = search;
  return spec;
}

codec::IntegerMatrix rounded(const Matrix& weight, const GridSpec& spec, int threads = 1) {
  sys::ThreadPool pool(threads);
  TwoLevelGrid grid(weight.rows(), weight.cols(), spec,
                    std::vector<float>(static_cast<std::size_t>(weight.cols()), 1.0F));
  EXPECT_TRUE(grid.find(weight, pool).ok());
  grid.round_all(weight, pool);
  return std::move(grid).finish();
}

double squared_error(const Matrix& weight, const codec::IntegerMatrix& matrix) {
  const Matrix values = codec::dequantize(matrix);
  double sum = 0.0;
  for (std::int64_t i = 0; i < weight.size(); ++i) {
    const double error = static_cast<double>(weight.data()[i]) - values.data()[i];
    sum += error * error;
  }
  return sum;
}

TEST(TwoLevelGrid, ByHand) {
  // absmax 119 / 1024: row scale 2^-10. Group 0 is -30 .. 30 (scale 4, zero 8), group 1 is 0 .. 119 (scale 8, zero 0).
  Matrix weight(1, 4);
  const float unit = 0x1p-10F;
  weight(0, 0) = -30 * unit;
  weight(0, 1) = 30 * unit;
  weight(0, 2) = 0;
  weight(0, 3) = 119 * unit;
  const codec::IntegerMatrix matrix = rounded(weight, spec_of(2, ScaleSearch::minmax));
  EXPECT_EQ(matrix.levels->row_scales, std::vector<float>{unit});
  EXPECT_EQ(matrix.levels->group_scales, (std::vector<std::uint8_t>{4, 8}));
  EXPECT_EQ(matrix.zero_points, (std::vector<std::uint8_t>{8, 0}));
  EXPECT_EQ(matrix.codes, (std::vector<std::uint8_t>{0, 15, 0, 15}));
  EXPECT_TRUE(codec::validate(matrix).ok());
}

// The search is exhaustive: nothing that is allowed is better.
TEST(TwoLevelGrid, SearchFindsTheBestPair) {
  const Matrix weight = test::normal_matrix(6, 32, 3);
  const codec::IntegerMatrix found = rounded(weight, spec_of(16));
  for (std::int64_t row = 0; row < 6; ++row) {
    for (std::int64_t group = 0; group < 2; ++group) {
      const float row_scale = found.levels->row_scales[static_cast<std::size_t>(row)];
      const auto loss_of = [&](int scale, int zero) {
        double loss = 0.0;
        for (std::int64_t k = group * 16; k < group * 16 + 16; ++k) {
          const double x = weight(row, k) / row_scale;
          const double level = std::clamp(std::nearbyint(x / scale), -1.0 * zero, 15.0 - zero);
          loss += (x - scale * level) * (x - scale * level);
        }
        return loss;
      };
      double best = 1e30;
      for (int scale = 1; scale <= 16; ++scale) {
        for (int zero = 0; zero < 16; ++zero) {
          if (codec::fits_int8(scale, zero, 4)) best = std::min(best, loss_of(scale, zero));
        }
      }
      const auto place = static_cast<std::size_t>(row * 2 + group);
      EXPECT_NEAR(loss_of(found.levels->group_scales[place], found.zero_points[place]), best, 1e-3 * best);
    }
  }
  EXPECT_LE(squared_error(weight, found), squared_error(weight, rounded(weight, spec_of(16, ScaleSearch::minmax))));
}

TEST(TwoLevelGrid, OneGroupARowIsTheOrdinaryGrid) {
  const Matrix weight = test::normal_matrix(5, 48, 4);
  const codec::IntegerMatrix matrix = rounded(weight, spec_of(-1));
  EXPECT_EQ(matrix.levels->group_scales, std::vector<std::uint8_t>(5, 1));
  sys::ThreadPool pool(1);
  IntegerGrid plain(5, 48, spec_of(-1), std::vector<float>(48, 1.0F));
  ASSERT_TRUE(plain.find_groups(weight, pool).ok());
  plain.round_all(weight, pool);
  const codec::IntegerMatrix expected = std::move(plain).finish();
  EXPECT_EQ(matrix.codes, expected.codes);
  EXPECT_EQ(matrix.scales, expected.scales);
  EXPECT_TRUE(codec::validate(matrix).ok());
}

TEST(TwoLevelGrid, DegenerateWeights) {
  for (const std::int64_t group_size : {8, -1}) {
    for (const float value : {0.0F, 1e-38F, 1e-7F, 1.0F, -3.0F, 1e5F}) {
      Matrix weight(3, 24);
      weight.fill(value);
      weight(1, 3) = -value;
      const codec::IntegerMatrix matrix = rounded(weight, spec_of(group_size));
      EXPECT_TRUE(codec::validate(matrix).ok()) << value;
      if (std::abs(value) < 1e-3F) continue;
      EXPECT_NEAR(codec::dequantize(matrix)(0, 0) / value, 1.0, 0.04) << value << " " << group_size;
    }
  }
  sys::ThreadPool pool(1);
  Matrix huge(2, 16);
  huge(1, 5) = 1e38F;
  TwoLevelGrid narrow(2, 16, spec_of(8), std::vector<float>(16, 1.0F));
  const Status refused = narrow.find(huge, pool);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().fault, Fault::limit_exceeded);
  GridSpec wide = spec_of(8);
  wide.scale_dtype = DType::bf16;
  const codec::IntegerMatrix held = rounded(huge, wide);
  EXPECT_TRUE(codec::validate(held).ok());
  EXPECT_NEAR(codec::dequantize(held)(1, 5) / 1e38, 1.0, 0.04);
}

}  // namespace
}  // namespace quernel::quant
