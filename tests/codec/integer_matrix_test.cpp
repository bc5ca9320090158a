#include "codec/integer_matrix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/rng.h"
#include "support/documented_limits.h"
#include "tensor/half.h"

namespace quernel::codec {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// 2 rows, 5 columns in groups of 2: the tail group holds one column.
IntegerMatrix small_matrix() {
  IntegerMatrix matrix;
  matrix.rows = 2;
  matrix.cols = 5;
  matrix.bits = 4;
  matrix.group_size = 2;
  matrix.codes = {0, 15, 7, 8, 3, 1, 2, 3, 4, 5};
  matrix.scales = {0.5F, 0.25F, 2.0F, 1.0F, 0.125F, 4.0F};
  matrix.zero_points = {8, 7, 0, 15, 1, 5};
  matrix.group_of_column = contiguous_groups(5, 2);
  return matrix;
}

std::string fault_of(const IntegerMatrix& matrix) {
  const Status status = validate(matrix);
  return status.ok() ? "ok" : to_string(status.error());
}

TEST(IntegerMatrix, CountsGroupsWithATail) {
  EXPECT_EQ(num_groups(5, 2), 3);
  EXPECT_EQ(num_groups(4, 2), 2);
  EXPECT_EQ(num_groups(3, 128), 1);
  EXPECT_EQ(num_groups(0, 64), 0);
  EXPECT_THAT(contiguous_groups(5, 2), ElementsAre(0, 0, 1, 1, 2));
}

TEST(IntegerMatrix, DequantizesWithATailGroup) {
  const Matrix out = dequantize(small_matrix());
  EXPECT_THAT(std::vector<float>(out.data(), out.data() + out.size()),
              ElementsAre(-4.0F, 3.5F, 0.0F, 0.25F, 6.0F, -14.0F, -13.0F, 0.25F, 0.375F, 0.0F));
}

TEST(IntegerMatrix, DequantizesColumnsThatChooseTheirGroup) {
  IntegerMatrix matrix = small_matrix();
  matrix.group_of_column = {2, 1, 0, 1, 0};
  EXPECT_FALSE(matrix.has_contiguous_groups());
  EXPECT_EQ(fault_of(matrix), "ok");
  const Matrix out = dequantize(matrix);
  EXPECT_THAT(std::vector<float>(out.data(), out.data() + 5), ElementsAre(0.0F, 2.0F, -0.5F, 0.25F, -2.5F));
}

TEST(IntegerMatrix, DequantizesIntoAViewWithAStride) {
  Matrix wide(2, 8);
  wide.fill(99.0F);
  dequantize(small_matrix(), wide.view().block(0, 2, 2, 5));
  EXPECT_EQ(wide(0, 1), 99.0F);
  EXPECT_EQ(wide(0, 2), -4.0F);
  EXPECT_EQ(wide(1, 6), 0.0F);
  EXPECT_EQ(wide(1, 7), 99.0F);
}

// The promise of the header: the float product is the mathematical one, for every code and 16-bit scale.
TEST(IntegerMatrix, ProductsAreExactInFloat) {
  for (std::uint32_t pattern = 1; pattern < 0x7C00; ++pattern) {
    const float scale = f16_to_float(static_cast<std::uint16_t>(pattern));
    for (const int level : {-255, -254, -129, -15, -1, 0, 1, 7, 127, 253, 255}) {
      const double exact = static_cast<double>(scale) * level;
      ASSERT_EQ(static_cast<double>(scale * static_cast<float>(level)), exact) << pattern << " x " << level;
    }
  }
}

TEST(IntegerMatrix, AcceptsWhatIsSound) {
  EXPECT_EQ(fault_of(small_matrix()), "ok");
  IntegerMatrix empty;
  EXPECT_EQ(fault_of(empty), "ok");
  EXPECT_EQ(dequantize(empty).size(), 0);
}

TEST(IntegerMatrix, NamesTheFieldThatIsWrong) {
  IntegerMatrix matrix = small_matrix();
  matrix.codes.pop_back();
  EXPECT_THAT(fault_of(matrix), HasSubstr("field codes"));

  matrix = small_matrix();
  matrix.codes[7] = 16;
  EXPECT_THAT(fault_of(matrix), HasSubstr("row 1, column 2"));

  matrix = small_matrix();
  matrix.zero_points[4] = 200;
  EXPECT_THAT(fault_of(matrix), HasSubstr("row 1, group 1"));

  matrix = small_matrix();
  matrix.group_of_column[3] = 3;
  EXPECT_THAT(fault_of(matrix), HasSubstr("group of column 3"));
  matrix.group_of_column[3] = -1;
  EXPECT_THAT(fault_of(matrix), HasSubstr("found -1"));

  matrix = small_matrix();
  matrix.symmetric = true;
  EXPECT_THAT(fault_of(matrix), HasSubstr("zero_points"));

  matrix = small_matrix();
  matrix.bits = 5;
  EXPECT_THAT(fault_of(matrix), HasSubstr("found 5"));

  matrix = small_matrix();
  matrix.group_size = 0;
  EXPECT_THAT(fault_of(matrix), HasSubstr("group_size"));

  matrix = small_matrix();
  matrix.scale_dtype = DType::i8;
  EXPECT_THAT(fault_of(matrix), HasSubstr("scale_dtype"));

  matrix = small_matrix();
  matrix.rows = std::int64_t{1} << 62;  // rows * cols does not fit 64 bits
  EXPECT_THAT(fault_of(matrix), HasSubstr("codes"));
}

TEST(IntegerMatrix, RefusesScalesThatAreNone) {
  for (const float bad : {0.0F, -1.0F, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN(),
                          0.1F /* no value of F16 */, 1e6F}) {
    IntegerMatrix matrix = small_matrix();
    matrix.scales[5] = bad;
    EXPECT_THAT(fault_of(matrix), HasSubstr("row 1, group 2")) << bad;
  }
  IntegerMatrix matrix = small_matrix();
  matrix.scales[5] = 0.1F;
  matrix.scale_dtype = DType::f32;
  EXPECT_EQ(fault_of(matrix), "ok");
  matrix.scale_dtype = DType::bf16;
  EXPECT_THAT(fault_of(matrix), HasSubstr("BF16"));
}

TEST(IntegerMatrix, OutliersStandInPlaceOfTheGrid) {
  IntegerMatrix matrix = small_matrix();
  matrix.codes[4] = 0;
  matrix.codes[6] = 15;
  matrix.outliers = {{0, 4, -3.0F}, {1, 1, 1000.5F}};
  ASSERT_EQ(fault_of(matrix), "ok");
  const Matrix values = dequantize(matrix);
  EXPECT_EQ(values(0, 4), -3.0F);
  EXPECT_EQ(values(1, 1), 1000.5F);
  EXPECT_EQ(values(1, 2), 0.125F * 2);
  EXPECT_DOUBLE_EQ(bits_per_weight(matrix), 4 + 20.0 * 3 / 5 + 2 * 96.0 / 10);
  matrix.group_of_column[4] = 1;  // scattered: the zero point is that of the column's own group
  matrix.codes[4] = 7;
  EXPECT_EQ(dequantize(matrix)(0, 4), -3.0F);
  EXPECT_EQ(fault_of(matrix), "ok");
}

TEST(IntegerMatrix, RefusesListsThatAreNone) {
  IntegerMatrix good = small_matrix();
  good.codes[4] = 0;
  good.codes[6] = 15;
  good.outliers = {{0, 4, -3.0F}, {1, 1, 7.0F}};
  const auto fault_with = [&](auto change) {
    IntegerMatrix matrix = good;
    change(matrix.outliers);
    return fault_of(matrix);
  };
  EXPECT_THAT(fault_with([](auto& list) { list[0].row = -1; }), HasSubstr("outside"));
  EXPECT_THAT(fault_with([](auto& list) { list[1].row = 2; }), HasSubstr("outside"));
  EXPECT_THAT(fault_with([](auto& list) { list[1].col = 5; }), HasSubstr("outside"));
  EXPECT_THAT(fault_with([](auto& list) { list[1].col = -1; }), HasSubstr("outside"));
  EXPECT_THAT(fault_with([](auto& list) { std::swap(list[0], list[1]); }), HasSubstr("does not follow"));
  EXPECT_THAT(fault_with([](auto& list) { list[1] = list[0]; }), HasSubstr("does not follow"));
  EXPECT_THAT(fault_with([](auto& list) { list[1].col = 2; }), HasSubstr("a code that is not 0"));
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    EXPECT_THAT(fault_with([&](auto& list) { list[0].value = bad; }), HasSubstr("no number"));
  }
  EXPECT_THAT(fault_with([](auto& list) { list.resize(kMaxOutliers + 1); }), HasSubstr("at most 1024"));
}

TEST(IntegerMatrix, LimitsAreAsDocumented) {
  EXPECT_EQ(test::documented_limits("Side lists"), (test::Limits{{"kMaxOutliers", kMaxOutliers}}));
}

TEST(IntegerMatrix, CountsBitsAWeight) {
  IntegerMatrix matrix = small_matrix();
  EXPECT_DOUBLE_EQ(bits_per_weight(matrix), 4 + 20.0 * 3 / 5);
  matrix.symmetric = true;
  EXPECT_DOUBLE_EQ(bits_per_weight(matrix), 4 + 16.0 * 3 / 5);
  matrix.scale_dtype = DType::f32;
  EXPECT_DOUBLE_EQ(bits_per_weight(matrix), 4 + 32.0 * 3 / 5);
}

}  // namespace
}  // namespace quernel::codec
