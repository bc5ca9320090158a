#include "codec/int_pack_compressed_tensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codec/int_pack_samples.h"

namespace quernel::codec {
namespace {

PackQuantizedViews views_of(const PackQuantizedTensors& tensors, const IntegerMatrix& matrix) {
  PackQuantizedViews views;
  views.weight_packed = view(DType::i32, {matrix.rows, packed_words(matrix.cols, matrix.bits)}, tensors.weight_packed);
  views.weight_scale = {matrix.scale_dtype, {matrix.rows, matrix.num_groups()}, tensors.weight_scale};
  if (!matrix.symmetric) {
    views.weight_zero_point =
        view(DType::i32, {packed_words(matrix.rows, matrix.bits), matrix.num_groups()}, tensors.weight_zero_point);
  }
  views.weight_shape = TensorView{DType::i64, {2}, std::as_bytes(std::span(tensors.weight_shape))};
  return views;
}

PackQuantizedLayout ct_layout(const IntegerMatrix& matrix) {
  return {matrix.rows, matrix.cols, matrix.bits, matrix.group_size, matrix.symmetric};
}

TEST(CompressedTensorsLayout, GoldenWords) {
  IntegerMatrix matrix = two_rows();
  matrix.symmetric = false;
  for (std::size_t i = 0; i < 8; ++i) matrix.zero_points[i] = static_cast<std::uint8_t>(15 - i);
  const auto packed = pack_quantized(matrix);
  ASSERT_TRUE(packed.ok());
  EXPECT_EQ(packed->weight_packed, (Words{0x76543210U, 0x0fedcba9U, 0x98765432U, 0x210fedcbU, 0xba987654U, 0x43210fedU,
                                          0xdcba9876U, 0x6543210fU}));
  EXPECT_EQ(packed->weight_zero_point, Words{0x89abcdefU});
  EXPECT_EQ(packed->weight_shape, (std::array<std::int64_t, 2>{8, 8}));
}

TEST(CompressedTensorsLayout, ReadsTheOlderThreeBitOrder) {
  IntegerMatrix matrix = random_matrix(1, 32, 3, 32, true);
  for (std::size_t i = 0; i < 32; ++i) matrix.codes[i] = static_cast<std::uint8_t>(i % 8);
  const auto packed = pack_quantized(matrix);
  ASSERT_TRUE(packed.ok());
  EXPECT_EQ(packed->weight_packed, (Words{0x88fac688U, 0xc688fac6U, 0xfac688faU}));
  PackQuantizedViews views = views_of(*packed, matrix);
  const Words older{0x08fac688U, 0x1a23eb1aU, 0x2c688facU, 0x0000003eU};
  views.weight_packed = view(DType::i32, {1, 4}, older);
  const auto back = unpack_quantized(views, ct_layout(matrix));
  ASSERT_TRUE(back.ok());
  expect_same(*back, matrix);
}

Words padded(const std::uint8_t* codes, std::size_t count) {
  Words words((count + 9) / 10, 0);
  for (std::size_t i = 0; i < count; ++i) words[i / 10] |= std::uint32_t{codes[i]} << (3 * (i % 10));
  return words;
}

// 40 fields take four words in either order, so the codes of the same module decide; 64 take seven instead of six.
TEST(CompressedTensorsLayout, ReadsOlderThreeBitZeroPoints) {
  for (const std::int64_t rows : {40, 64}) {
    const IntegerMatrix matrix = random_matrix(rows, 32, 3, 32, false);
    const auto packed = pack_quantized(matrix);
    ASSERT_TRUE(packed.ok());
    const auto num_rows = static_cast<std::size_t>(rows);
    Words codes;
    for (std::size_t row = 0; row < num_rows; ++row) {
      const Words line = padded(matrix.codes.data() + row * 32, 32);
      codes.insert(codes.end(), line.begin(), line.end());
    }
    const Words zeros = padded(matrix.zero_points.data(), num_rows);
    PackQuantizedViews views = views_of(*packed, matrix);
    views.weight_packed = view(DType::i32, {rows, 4}, codes);
    views.weight_zero_point = view(DType::i32, {static_cast<std::int64_t>(zeros.size()), 1}, zeros);
    const auto back = unpack_quantized(views, ct_layout(matrix));
    ASSERT_TRUE(back.ok()) << to_string(back.error());
    expect_same(*back, matrix);
  }
}

class PackQuantizedRoundTrip : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(AllShapes, PackQuantizedRoundTrip, all_cases());

TEST_P(PackQuantizedRoundTrip, CompressedTensors) {
  const auto [bits, cols, group_size, symmetric] = GetParam();
  for (const DType scale_dtype : {DType::f16, DType::bf16, DType::f32}) {
    const IntegerMatrix matrix = random_matrix(29, cols, bits, group_size, symmetric, scale_dtype);
    const auto packed = pack_quantized(matrix);
    ASSERT_TRUE(packed.ok());
    const auto back = unpack_quantized(views_of(*packed, matrix), ct_layout(matrix));
    ASSERT_TRUE(back.ok()) << to_string(back.error());
    expect_same(*back, matrix);
  }
}

TEST(CompressedTensorsLayout, RefusesContradictions) {
  const IntegerMatrix matrix = random_matrix(8, 64, 4, 16, false);
  const auto packed = pack_quantized(matrix);
  ASSERT_TRUE(packed.ok());
  const PackQuantizedViews good = views_of(*packed, matrix);
  const auto field_of = [&](const PackQuantizedViews& views) {
    const auto result = unpack_quantized(views, ct_layout(matrix));
    return result.ok() ? std::string("accepted") : result.error().field;
  };
  EXPECT_EQ(field_of(good), "accepted");
  PackQuantizedViews bad = good;
  bad.weight_packed.shape = {4, 16};
  EXPECT_EQ(field_of(bad), "weight_packed");
  bad = good;
  bad.weight_zero_point.reset();
  EXPECT_EQ(field_of(bad), "weight_zero_point");
  bad = good;
  const std::array<std::int64_t, 2> turned{64, 8};
  bad.weight_shape = TensorView{DType::i64, {2}, std::as_bytes(std::span(turned))};
  EXPECT_EQ(field_of(bad), "weight_shape");
  bad = good;
  bad.weight_scale.shape = {8, 1};
  EXPECT_EQ(field_of(bad), "weight_scale");
}

TEST(CompressedTensorsLayout, OneScaleForTheWholeMatrix) {
  IntegerMatrix matrix = random_matrix(4, 16, 8, 16, true);
  const auto packed = pack_quantized(matrix);
  ASSERT_TRUE(packed.ok());
  PackQuantizedViews views = views_of(*packed, matrix);
  const std::vector<std::uint16_t> one{0x3800};  // 0.5
  views.weight_scale = view(DType::f16, {1}, one);
  const auto back = unpack_quantized(views, ct_layout(matrix));
  ASSERT_TRUE(back.ok());
  EXPECT_THAT(back->scales, testing::Each(0.5F));
}

TEST(CompressedTensorsLayout, RefusesScatteredGroups) {
  IntegerMatrix matrix = random_matrix(4, 32, 4, 16, true);
  std::swap(matrix.group_of_column[0], matrix.group_of_column[31]);
  const auto packed = pack_quantized(matrix);
  ASSERT_FALSE(packed.ok());
  EXPECT_EQ(packed.error().field, "weight_g_idx");
}

}  // namespace
}  // namespace quernel::codec
