#include "codec/two_level.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codec/two_level_samples.h"
#include "tensor/half.h"

namespace quernel::codec {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<int> numbers(const std::vector<std::byte>& bytes) {
  std::vector<int> out;
  for (const std::byte byte : bytes) out.push_back(static_cast<int>(byte));
  return out;
}

// Two rows of five columns in groups of two, as docs/format.md shows them.
IntegerMatrix documented() {
  IntegerMatrix matrix;
  matrix.rows = 2;
  matrix.cols = 5;
  matrix.bits = 4;
  matrix.group_size = 2;
  matrix.codes = {0, 15, 7, 8, 3, 1, 2, 3, 4, 5};
  matrix.zero_points = {8, 7, 0, 15, 1, 5};
  matrix.levels.emplace();
  matrix.levels->row_scales = {0.5F, 0.0078125F};
  matrix.levels->group_scales = {16, 3, 8, 1, 2, 12};
  matrix.scales = {8.0F, 1.5F, 4.0F, 0.0078125F, 0.015625F, 0.09375F};
  matrix.group_of_column = contiguous_groups(5, 2);
  return matrix;
}

TEST(TwoLevel, GoldenBytes) {
  const IntegerMatrix matrix = documented();
  ASSERT_TRUE(validate(matrix).ok()) << to_string(validate(matrix).error());
  EXPECT_THAT(numbers(two_level_codes(matrix)), ElementsAre(0xf0, 0x87, 0x03, 0x21, 0x43, 0x05));
  EXPECT_THAT(numbers(two_level_groups(matrix)), ElementsAre(0xf8, 0x27, 0x70, 0x0f, 0x11, 0xb5));
  EXPECT_THAT(numbers(two_level_scales(matrix)), ElementsAre(0x00, 0x38, 0x00, 0x20));
  const Matrix values = dequantize(matrix);
  EXPECT_THAT(std::vector<float>(values.data(), values.data() + 5), ElementsAre(-64.0F, 56.0F, 0.0F, 1.5F, 12.0F));
  EXPECT_NEAR(bits_per_weight(matrix), 4 + (3 * 8 + 16) / 5.0, 1e-12);
}

TEST(TwoLevel, GoldenBytesOfAList) {
  IntegerMatrix matrix = documented();
  keep(matrix, 0, 4, -3.0F);
  keep(matrix, 1, 1, 260.5F);
  ASSERT_TRUE(validate(matrix).ok()) << to_string(validate(matrix).error());
  EXPECT_THAT(numbers(two_level_codes(matrix)), ElementsAre(0xf0, 0x87, 0x00, 0xf1, 0x43, 0x05));
  EXPECT_THAT(numbers(outlier_index(matrix)), ElementsAre(0, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0));
  EXPECT_THAT(numbers(outlier_values(matrix)), ElementsAre(0x00, 0x00, 0x40, 0xc0, 0x00, 0x40, 0x82, 0x43));
  const TwoLevelBytes bytes(matrix);
  const auto back = unpack_two_level(bytes.views(), {2, 5, 2, false});
  ASSERT_TRUE(back.ok()) << to_string(back.error());
  EXPECT_EQ(back->outliers, matrix.outliers);
  EXPECT_EQ(dequantize(*back)(0, 4), -3.0F);
  EXPECT_EQ(dequantize(*back)(1, 1), 260.5F);
}

TEST(TwoLevel, RoundTripsEveryShapeAndType) {
  for (const std::int64_t cols : {1, 31, 32, 64, 100, 129}) {
    for (const std::int64_t group_size : {32, 64, 128, -1}) {
      for (const DType dtype : {DType::f16, DType::bf16}) {
        const IntegerMatrix matrix = two_level_sample(7, cols, group_size == -1 ? cols : group_size, dtype);
        ASSERT_TRUE(validate(matrix).ok()) << to_string(validate(matrix).error());
        const TwoLevelBytes bytes(matrix);
        const auto back = unpack_two_level(bytes.views(), {7, cols, group_size, false});
        ASSERT_TRUE(back.ok()) << to_string(back.error());
        expect_same(*back, matrix);
        EXPECT_EQ(back->levels->row_scales, matrix.levels->row_scales);
        EXPECT_EQ(back->levels->group_scales, matrix.levels->group_scales);
      }
    }
  }
}

std::string refusal(const TwoLevelViews& views, const TwoLevelLayout& layout) {
  const auto matrix = unpack_two_level(views, layout);
  return matrix.ok() ? "read" : to_string(matrix.error());
}

TEST(TwoLevel, DamagedTensorsAreRefused) {
  const IntegerMatrix matrix = two_level_sample(3, 33, 32, DType::f16);
  const TwoLevelLayout layout{3, 33, 32, false};
  TwoLevelBytes bytes(matrix);
  EXPECT_EQ(refusal(bytes.views(), layout), "read");
  EXPECT_THAT(refusal(bytes.views(), {3, 33, 64, false}), HasSubstr("groups"));
  EXPECT_THAT(refusal(bytes.views(), {3, 35, 32, false}), HasSubstr("codes"));
  EXPECT_THAT(refusal(bytes.views(), {4, 33, 32, false}), HasSubstr("codes"));
  EXPECT_THAT(refusal(bytes.views(), {3, 33, 32, true}), HasSubstr("zero point"));

  TwoLevelViews wrong = bytes.views();
  wrong.groups.dtype = DType::i8;
  EXPECT_THAT(refusal(wrong, layout), HasSubstr("groups"));
  for (std::size_t size = 0; size < bytes.codes.size(); ++size) {  // cut anywhere
    wrong = bytes.views();
    wrong.codes.bytes = wrong.codes.bytes.first(size);
    EXPECT_THAT(refusal(wrong, layout), HasSubstr("codes"));
  }
  for (std::size_t size = 0; size < bytes.scales.size(); ++size) {
    wrong = bytes.views();
    wrong.scales.bytes = wrong.scales.bytes.first(size);
    EXPECT_THAT(refusal(wrong, layout), HasSubstr("scales"));
  }

  bytes.codes.back() = std::byte{0x10};
  EXPECT_THAT(refusal(bytes.views(), layout), HasSubstr("past the last column of row 2"));
  bytes = TwoLevelBytes(matrix);
  bytes.groups[1] = std::byte{0xf7};  // 16 * (15 - 7) = 128
  EXPECT_THAT(refusal(bytes.views(), layout), HasSubstr("INT8"));
  bytes.groups[1] = std::byte{0xf9};  // 16 * 9 = 144
  EXPECT_THAT(refusal(bytes.views(), layout), HasSubstr("INT8"));
  bytes.groups[1] = std::byte{0xf8};
  EXPECT_EQ(refusal(bytes.views(), layout), "read");
  for (const std::uint16_t scale : {0x0000, 0x8001, 0x7c00, 0x7e00}) {
    bytes = TwoLevelBytes(matrix);
    std::memcpy(bytes.scales.data(), &scale, 2);
    EXPECT_NE(refusal(bytes.views(), layout), "read") << scale;
  }
}

TEST(TwoLevel, DamagedListsAreRefused) {
  IntegerMatrix matrix = two_level_sample(3, 33, 32, DType::f16);
  keep(matrix, 0, 7, 9.0F);
  keep(matrix, 2, 32, -2.0F);
  const TwoLevelLayout layout{3, 33, 32, false};
  TwoLevelBytes bytes(matrix);
  EXPECT_EQ(refusal(bytes.views(), layout), "read");
  TwoLevelViews wrong = bytes.views();
  wrong.outlier_values.reset();
  EXPECT_THAT(refusal(wrong, layout), HasSubstr("half of a list"));
  wrong = bytes.views();
  wrong.outlier_index.reset();
  EXPECT_THAT(refusal(wrong, layout), HasSubstr("half of a list"));
  for (const Shape& shape : {Shape{2}, Shape{2, 3}, Shape{0, 2}, Shape{}, Shape{kMaxOutliers + 1, 2}, Shape{1, 2}}) {
    wrong = bytes.views();
    wrong.outlier_index->shape = shape;
    EXPECT_THAT(refusal(wrong, layout), HasSubstr("outlier_index")) << quernel::to_string(shape);
  }
  wrong = bytes.views();
  wrong.outlier_values->dtype = DType::i32;
  EXPECT_THAT(refusal(wrong, layout), HasSubstr("outlier_values"));
  for (std::size_t size = 0; size < bytes.index.size(); ++size) {  // cut anywhere
    wrong = bytes.views();
    wrong.outlier_index->bytes = wrong.outlier_index->bytes.first(size);
    EXPECT_THAT(refusal(wrong, layout), HasSubstr("outlier_index"));
  }
  for (std::size_t size = 0; size < bytes.values.size(); ++size) {
    wrong = bytes.views();
    wrong.outlier_values->bytes = wrong.outlier_values->bytes.first(size);
    EXPECT_THAT(refusal(wrong, layout), HasSubstr("outlier_values"));
  }
  for (std::size_t at = 0; at < bytes.index.size(); ++at) {  // out of bounds, out of order, or over another code
    bytes = TwoLevelBytes(matrix);
    bytes.index[at] ^= std::byte{0x80};
    EXPECT_THAT(refusal(bytes.views(), layout), HasSubstr("outlier")) << at;
  }
  bytes = TwoLevelBytes(matrix);
  const std::uint32_t infinity = 0x7f800000;
  std::memcpy(bytes.values.data(), &infinity, 4);
  EXPECT_THAT(refusal(bytes.views(), layout), HasSubstr("no number"));
}

TEST(TwoLevel, ValidateHoldsTheLevelsTogether) {
  IntegerMatrix matrix = documented();
  matrix.scales[1] = 2.0F;
  EXPECT_THAT(to_string(validate(matrix).error()), HasSubstr("not the product"));
  matrix = documented();
  matrix.levels->group_scales[0] = 17;
  EXPECT_THAT(to_string(validate(matrix).error()), HasSubstr("INT8"));
  matrix = documented();
  matrix.levels->group_scales.pop_back();
  EXPECT_FALSE(validate(matrix).ok());
  matrix = documented();
  matrix.levels->row_scales[0] = 0.1F;  // no value of F16
  EXPECT_THAT(to_string(validate(matrix).error()), HasSubstr("row 0"));
}

}  // namespace
}  // namespace quernel::codec
