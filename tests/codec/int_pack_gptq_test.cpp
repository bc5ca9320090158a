#include "codec/int_pack_gptq.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codec/int_pack_samples.h"

namespace quernel::codec {
namespace {

GptqViews views_of(const GptqTensors& tensors, const IntegerMatrix& matrix) {
  const std::int64_t groups = matrix.num_groups();
  return {view(DType::i32, {packed_words(matrix.cols, matrix.bits), matrix.rows}, tensors.qweight),
          view(DType::i32, {groups, packed_words(matrix.rows, matrix.bits)}, tensors.qzeros),
          view(DType::f16, {groups, matrix.rows}, tensors.scales), view(DType::i32, {matrix.cols}, tensors.g_idx)};
}

GptqLayout gptq_layout(const IntegerMatrix& matrix, GptqZeros zeros) {
  return {matrix.rows, matrix.cols, matrix.bits, matrix.group_size, matrix.symmetric, zeros};
}

TEST(GptqLayout, GoldenWords) {
  const IntegerMatrix matrix = two_rows();
  const auto v1 = pack_gptq(matrix, GptqZeros::v1);
  const auto v2 = pack_gptq(matrix, GptqZeros::v2);
  ASSERT_TRUE(v1.ok() && v2.ok());
  // Output n starts at code 9 n mod 16: column n of one row of words.
  EXPECT_EQ(v1->qweight, (Words{0x76543210U, 0x0fedcba9U, 0x98765432U, 0x210fedcbU, 0xba987654U, 0x43210fedU,
                                0xdcba9876U, 0x6543210fU}));
  EXPECT_EQ(v1->qzeros, Words{0x77777777U});
  EXPECT_EQ(v2->qzeros, Words{0x88888888U});
  EXPECT_EQ(v1->g_idx, std::vector<std::int32_t>(8, 0));
}

TEST(GptqLayout, ZeroOfZeroWrapsInItsOwnField) {
  IntegerMatrix matrix = random_matrix(8, 8, 4, 8, false);
  for (std::size_t i = 0; i < 8; ++i) matrix.zero_points[i] = static_cast<std::uint8_t>(i);
  const auto v1 = pack_gptq(matrix, GptqZeros::v1);
  ASSERT_TRUE(v1.ok());
  EXPECT_EQ(v1->qzeros, Words{0x6543210fU});
  const auto back = unpack_gptq(views_of(*v1, matrix), gptq_layout(matrix, GptqZeros::v1));
  ASSERT_TRUE(back.ok());
  expect_same(*back, matrix);
}

class GptqRoundTrip : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(AllShapes, GptqRoundTrip, all_cases());

TEST_P(GptqRoundTrip, Gptq) {
  const auto [bits, cols, group_size, symmetric] = GetParam();
  IntegerMatrix matrix = random_matrix(32, cols, bits, group_size, symmetric);
  for (const bool scattered : {false, true}) {
    if (scattered) {  // act-order: columns dealt to groups in another order
      std::uint64_t state = 77;
      for (std::size_t k = matrix.group_of_column.size(); k > 1; --k) {
        std::swap(matrix.group_of_column[k - 1], matrix.group_of_column[next(state) % k]);
      }
    }
    for (const GptqZeros zeros : {GptqZeros::v1, GptqZeros::v2}) {
      const auto packed = pack_gptq(matrix, zeros);
      ASSERT_TRUE(packed.ok());
      const auto back = unpack_gptq(views_of(*packed, matrix), gptq_layout(matrix, zeros));
      ASSERT_TRUE(back.ok()) << to_string(back.error());
      expect_same(*back, matrix);
    }
  }
}

TEST(GptqLayout, RefusesScalesThatHalfPrecisionCannotHold) {
  for (const float scale : {1e-9F, 1e6F, 1.0F + 1.0F / 65536}) {
    IntegerMatrix matrix = random_matrix(8, 8, 4, 8, true, DType::f32);
    matrix.scales[3] = scale;
    const auto packed = pack_gptq(matrix, GptqZeros::v2);
    ASSERT_FALSE(packed.ok());
    EXPECT_EQ(packed.error().fault, Fault::invalid_argument);
    EXPECT_EQ(packed.error().field, "scales");
  }
}

TEST(GptqLayout, NegativeGroupsCountFromTheEnd) {
  const IntegerMatrix matrix = random_matrix(8, 64, 4, 16, false);
  auto packed = pack_gptq(matrix, GptqZeros::v2);
  ASSERT_TRUE(packed.ok());
  for (auto& group : packed->g_idx) group -= 4;
  const auto back = unpack_gptq(views_of(*packed, matrix), gptq_layout(matrix, GptqZeros::v2));
  ASSERT_TRUE(back.ok());
  expect_same(*back, matrix);
}

TEST(GptqLayout, SymmetricReadersIgnoreStoredZeros) {
  const IntegerMatrix matrix = random_matrix(8, 32, 4, 32, true);
  auto packed = pack_gptq(matrix, GptqZeros::v2);  // a v2 file labelled v1: 8 would be read as 9
  ASSERT_TRUE(packed.ok());
  const auto back = unpack_gptq(views_of(*packed, matrix), gptq_layout(matrix, GptqZeros::v1));
  ASSERT_TRUE(back.ok());
  expect_same(*back, matrix);
}

// Each damage must be refused with the field that shows it.
TEST(GptqLayout, RefusesContradictions) {
  const IntegerMatrix matrix = random_matrix(8, 64, 4, 16, false);
  const auto packed = pack_gptq(matrix, GptqZeros::v2);
  ASSERT_TRUE(packed.ok());
  const GptqViews good = views_of(*packed, matrix);
  const GptqLayout layout = gptq_layout(matrix, GptqZeros::v2);
  const auto field_of = [&](const GptqViews& views, const GptqLayout& used) {
    const auto result = unpack_gptq(views, used);
    return result.ok() ? std::string("accepted") : result.error().field;
  };
  GptqViews bad = good;
  bad.qweight.bytes = bad.qweight.bytes.first(bad.qweight.bytes.size() - 1);
  EXPECT_EQ(field_of(bad, layout), "qweight");
  bad = good;
  bad.qzeros.shape = {1, 4};
  EXPECT_EQ(field_of(bad, layout), "qzeros");
  bad = good;
  bad.scales.dtype = DType::i16;
  EXPECT_EQ(field_of(bad, layout), "scales");
  bad = good;
  std::vector<std::int32_t> groups = packed->g_idx;
  groups[5] = 4;
  bad.g_idx = view(DType::i32, {64}, groups);
  EXPECT_EQ(field_of(bad, layout), "g_idx");
  groups[5] = INT32_MIN;
  EXPECT_EQ(field_of(bad, layout), "g_idx");
  std::vector<std::uint16_t> scales = packed->scales;
  for (const int pattern : {0x0000, 0x7c00, 0x7e00, 0xbc00}) {  // zero, infinity, NaN, -1
    scales[2] = static_cast<std::uint16_t>(pattern);
    bad = good;
    bad.scales = view(DType::f16, {4, 8}, scales);
    EXPECT_EQ(field_of(bad, layout), "scales") << pattern;
  }
  GptqLayout used = layout;
  used.group_size = 32;
  EXPECT_EQ(field_of(good, used), "scales");
  used = layout;
  used.bits = 8;
  EXPECT_EQ(field_of(good, used), "qweight");
  used.bits = 9;
  EXPECT_EQ(field_of(good, used), "bits");
  used = layout;
  used.group_size = 0;
  EXPECT_EQ(field_of(good, used), "group_size");
  used = layout;
  used.rows = INT64_MAX;
  EXPECT_EQ(field_of(good, used), "shape");
}

}  // namespace
}  // namespace quernel::codec
