#include "kernels/gemv/gemv.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/gemv/table.h"
#include "kernels/kernel_test.h"
#include "tensor/half.h"

namespace quernel::kernels::gemv {
namespace {

class Gemv : public ::testing::TestWithParam<Variant> {};
INSTANTIATE_TEST_SUITE_P(Variants, Gemv, ::testing::ValuesIn(variants().begin(), variants().end()), test_name<Variant>);

struct Problem {
  std::int64_t rows, cols, vectors;
  std::int64_t weight_stride, x_stride, out_stride;
  std::vector<float> weight, x;
  std::vector<std::uint16_t> bf16;

  Problem(std::int64_t rows_in, std::int64_t cols_in, std::int64_t vectors_in)
      : rows(rows_in),
        cols(cols_in),
        vectors(vectors_in),
        weight_stride(cols + 3),
        x_stride(cols + 5),
        out_stride(rows + 2),
        weight(normal_values(rows * weight_stride + 1, "weight")),
        x(normal_values(vectors * x_stride + 1, "x")),
        bf16(weight.size()) {
    float_to_bf16(weight, bf16);
  }
};

constexpr float kUntouched = 12345.0F;

// Data one element off its natural place: addresses are not multiples of anything but the element.
std::vector<float> run(const Variant& variant, const Problem& p, bool bf16) {
  std::vector<float> out(static_cast<std::size_t>(p.vectors * p.out_stride), kUntouched);
  const auto fill = [&](auto args, const auto* weight) {
    args.weight = weight + 1;
    args.weight_stride = p.weight_stride;
    args.num_rows = p.rows;
    args.num_cols = p.cols;
    args.x = p.x.data() + 1;
    args.x_stride = p.x_stride;
    args.num_vectors = p.vectors;
    args.out = out.data();
    args.out_stride = p.out_stride;
    return args;
  };
  if (bf16)
    variant.bf16(fill(ArgsBf16{}, p.bf16.data()));
  else
    variant.f32(fill(ArgsF32{}, p.weight.data()));
  return out;
}

void check_against_definition(const Variant& variant, const Problem& p, bool bf16) {
  const std::vector<float> out = run(variant, p, bf16);
  for (std::int64_t v = 0; v < p.vectors; ++v) {
    for (std::int64_t r = 0; r < p.rows; ++r) {
      double sum = 0;
      double magnitude = 0;
      for (std::int64_t k = 0; k < p.cols; ++k) {
        const auto at = static_cast<std::size_t>(r * p.weight_stride + k + 1);
        const double w = bf16 ? bf16_to_float(p.bf16[at]) : p.weight[at];
        const double product = w * p.x[static_cast<std::size_t>(v * p.x_stride + k + 1)];
        sum += product;
        magnitude += std::fabs(product);
      }
      const double bound = (static_cast<double>(p.cols) / 16 + 7) * 0x1.0p-24 * magnitude;
      ASSERT_NEAR(out[static_cast<std::size_t>(v * p.out_stride + r)], sum, bound)
          << variant.name << " rows " << p.rows << " cols " << p.cols << " vectors " << p.vectors << " bf16 " << bf16;
    }
    for (std::int64_t r = p.rows; r < p.out_stride; ++r)
      ASSERT_EQ(out[static_cast<std::size_t>(v * p.out_stride + r)], kUntouched);
  }
}

TEST_P(Gemv, MatchesTheDefinitionForEveryTail) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  for (std::int64_t cols = 1; cols <= 130; ++cols)
    for (const bool bf16 : {false, true})
      check_against_definition(GetParam(), Problem(1 + cols % 9, cols, 1 + cols % 8), bf16);
}

TEST_P(Gemv, MatchesTheDefinitionForRealSizes) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  for (const std::int64_t vectors : {1, 2, 3, 5, 8})
    for (const bool bf16 : {false, true}) {
      check_against_definition(GetParam(), Problem(49, 576, vectors), bf16);
      check_against_definition(GetParam(), Problem(7, 8961, vectors), bf16);
    }
}

TEST_P(Gemv, RowsAndVectorsDoNotKnowEachOther) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  const Problem p(11, 203, 7);
  for (const bool bf16 : {false, true}) {
    const std::vector<float> whole = run(GetParam(), p, bf16);
    for (std::int64_t row = 0; row < p.rows; ++row)
      for (std::int64_t vector = 0; vector < p.vectors; ++vector) {
        float alone = 0;
        const std::int64_t at = row * p.weight_stride + 1;
        const float* x = p.x.data() + vector * p.x_stride + 1;
        if (bf16)
          GetParam().bf16({p.bf16.data() + at, p.weight_stride, 1, p.cols, x, p.x_stride, 1, &alone, 1});
        else
          GetParam().f32({p.weight.data() + at, p.weight_stride, 1, p.cols, x, p.x_stride, 1, &alone, 1});
        ASSERT_EQ(alone, whole[static_cast<std::size_t>(vector * p.out_stride + row)]) << row << " " << vector;
      }
  }
}

TEST_P(Gemv, ExtremesStayInTheirRow) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  Problem p(6, 37, 2);
  const auto weight_at = [&](std::int64_t row, std::int64_t col) -> float& {
    return p.weight[static_cast<std::size_t>(row * p.weight_stride + col + 1)];
  };
  weight_at(1, 36) = std::numeric_limits<float>::quiet_NaN();
  weight_at(2, 0) = std::numeric_limits<float>::infinity();
  for (std::int64_t k = 0; k < p.cols; ++k) {
    weight_at(3, k) = 3e38F;   // sums overflow
    weight_at(4, k) = 1e-40F;  // subnormal
    weight_at(5, k) = -0.0F;
  }
  const std::vector<float> out = run(GetParam(), p, false);
  EXPECT_TRUE(std::isfinite(out[0]));
  EXPECT_TRUE(std::isnan(out[1]));
  EXPECT_TRUE(std::isinf(out[2]) || std::isnan(out[2]));
  EXPECT_FALSE(std::isfinite(out[3]) && std::fabs(out[3]) < 1e30F);
  EXPECT_LT(std::fabs(out[4]), 1e-37F);
  EXPECT_NE(out[4], 0.0F) << "subnormal numbers count";
  EXPECT_EQ(out[5], 0.0F);
}

TEST(GemvLevels, VectorVariantsAgreeBitForBit) {
  std::vector<Variant> usable;
  for (const Variant& variant : variants())
    if (variant.isa != sys::Isa::scalar && sys::can_use(variant.isa)) usable.push_back(variant);
  if (usable.size() < 2) GTEST_SKIP() << "fewer than two vector levels on this CPU";
  for (const std::int64_t cols : {1, 15, 16, 17, 63, 100, 577})
    for (const std::int64_t vectors : {1, 4, 7})
      for (const bool bf16 : {false, true}) {
        const Problem p(9, cols, vectors);
        const std::vector<float> first = run(usable[0], p, bf16);
        for (const Variant& other : usable)
          ASSERT_TRUE(same_bits(first, run(other, p, bf16))) << other.name << " " << cols;
      }
}

}  // namespace
}  // namespace quernel::kernels::gemv
