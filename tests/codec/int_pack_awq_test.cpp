#include "codec/int_pack_awq.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <thread>

#include "codec/int_pack_samples.h"

namespace quernel::codec {
namespace {

using AwqCase = std::tuple<std::int64_t, std::int64_t, std::int64_t>;  // rows, cols, group_size

AwqViews views_of(const AwqTensors& tensors, const IntegerMatrix& matrix) {
  const std::int64_t groups = matrix.num_groups();
  return {view(DType::i32, {matrix.cols, matrix.rows / 8}, tensors.qweight),
          view(DType::i32, {groups, matrix.rows / 8}, tensors.qzeros),
          view(DType::f16, {groups, matrix.rows}, tensors.scales)};
}

AwqLayout layout_of(const IntegerMatrix& matrix) {
  return {matrix.rows, matrix.cols, matrix.group_size, matrix.symmetric};
}

// The order spelled out, one nibble at a time: column 8c + j of a row lies in nibble {0, 4, 1, 5, 2, 6, 3, 7}[j].
std::uint8_t nibble_of(const Words& words, std::int64_t width, std::int64_t input, std::int64_t output) {
  constexpr std::array<unsigned, 8> kNibble{0, 4, 1, 5, 2, 6, 3, 7};
  const std::uint32_t word = words[static_cast<std::size_t>(input * width + output / 8)];
  return static_cast<std::uint8_t>((word >> (4 * kNibble[static_cast<std::size_t>(output % 8)])) & 15U);
}

TEST(AwqLayout, GoldenWords) {
  IntegerMatrix matrix = random_matrix(16, 2, 4, 2, false);
  for (std::size_t n = 0; n < 16; ++n) {
    matrix.codes[2 * n] = static_cast<std::uint8_t>(n);           // input 0: 0 .. 7, 8 .. 15
    matrix.codes[2 * n + 1] = static_cast<std::uint8_t>(15 - n);  // input 1: 15 .. 8, 7 .. 0
    matrix.zero_points[n] = static_cast<std::uint8_t>(n);
  }
  const auto packed = pack_awq(matrix);
  ASSERT_TRUE(packed.ok()) << to_string(packed.error());
  EXPECT_EQ(packed->qweight, (Words{0x75316420U, 0xfdb9eca8U, 0x8ace9bdfU, 0x02461357U}));
  EXPECT_EQ(packed->qzeros, (Words{0x75316420U, 0xfdb9eca8U}));
  matrix = random_matrix(8, 8, 4, 8, true);
  EXPECT_EQ(awq_qzeros(matrix), Words{0x88888888U});
}

TEST(AwqLayout, ScalesRunAlongTheOutputs) {
  IntegerMatrix matrix = random_matrix(8, 32, 4, 16, false);
  for (std::size_t i = 0; i < matrix.scales.size(); ++i) matrix.scales[i] = static_cast<float>(i + 1);  // [8, 2]
  const auto scales = awq_scales(matrix);
  ASSERT_TRUE(scales.ok());
  EXPECT_THAT(*scales, testing::ElementsAre(0x3c00, 0x4200, 0x4500, 0x4700, 0x4880, 0x4980, 0x4a80, 0x4b80,  // odd
                                            0x4000, 0x4400, 0x4600, 0x4800, 0x4900, 0x4a00, 0x4b00, 0x4c00));
}

class AwqRoundTrip : public testing::TestWithParam<AwqCase> {};
// Sides below, at and above a tile of the packing (128 outputs, 64 inputs), and no multiples of it.
INSTANTIATE_TEST_SUITE_P(AllShapes, AwqRoundTrip,
                         testing::Combine(testing::Values(8, 16, 120, 128, 136, 264),
                                          testing::Values(16, 48, 64, 80, 192), testing::Values(1, 8, 16)));

TEST_P(AwqRoundTrip, EveryMatrixComesBack) {
  const auto [rows, cols, group_size] = GetParam();
  for (const bool symmetric : {false, true}) {
    const IntegerMatrix matrix = random_matrix(rows, cols, 4, group_size, symmetric);
    const auto packed = pack_awq(matrix);
    ASSERT_TRUE(packed.ok()) << to_string(packed.error());
    for (std::int64_t k = 0; k < cols; ++k) {
      for (std::int64_t n = 0; n < rows; ++n) {
        ASSERT_EQ(nibble_of(packed->qweight, rows / 8, k, n), matrix.codes[static_cast<std::size_t>(n * cols + k)]);
      }
    }
    const auto back = unpack_awq(views_of(*packed, matrix), layout_of(matrix));
    ASSERT_TRUE(back.ok()) << to_string(back.error());
    expect_same(*back, matrix);
  }
}

TEST(AwqLayout, ExtremeCodesAndZerosStayInTheirFields) {
  IntegerMatrix matrix = random_matrix(24, 32, 4, 8, false);
  for (const int code : {0, 15}) {
    for (const int zero : {0, 15}) {
      std::fill(matrix.codes.begin(), matrix.codes.end(), static_cast<std::uint8_t>(code));
      std::fill(matrix.zero_points.begin(), matrix.zero_points.end(), static_cast<std::uint8_t>(zero));
      matrix.codes[5 * 32 + 7] = static_cast<std::uint8_t>(15 - code);
      const auto packed = pack_awq(matrix);
      ASSERT_TRUE(packed.ok());
      const auto back = unpack_awq(views_of(*packed, matrix), layout_of(matrix));
      ASSERT_TRUE(back.ok());
      expect_same(*back, matrix);
    }
  }
}

TEST(AwqLayout, OneGroupARow) {
  const IntegerMatrix matrix = random_matrix(8, 48, 4, 48, false);
  const auto packed = pack_awq(matrix);
  ASSERT_TRUE(packed.ok());
  AwqLayout layout = layout_of(matrix);
  layout.group_size = -1;
  const auto back = unpack_awq(views_of(*packed, matrix), layout);
  ASSERT_TRUE(back.ok()) << to_string(back.error());
  expect_same(*back, matrix);
}

// What a symmetric grid becomes for a reader that is told "zero_point": true, and the reverse.
TEST(AwqLayout, SymmetricGridsAreZerosOfEight) {
  const IntegerMatrix matrix = random_matrix(16, 32, 4, 16, true);
  const auto packed = pack_awq(matrix);
  ASSERT_TRUE(packed.ok());
  AwqViews views = views_of(*packed, matrix);
  AwqLayout layout = layout_of(matrix);
  layout.symmetric = false;
  const auto asymmetric = unpack_awq(views, layout);
  ASSERT_TRUE(asymmetric.ok());
  EXPECT_EQ(asymmetric->zero_points, matrix.zero_points);
  const Matrix expected = dequantize(matrix);
  const Matrix found = dequantize(*asymmetric);
  EXPECT_TRUE(std::equal(expected.data(), expected.data() + expected.size(), found.data()));
  views.qzeros.reset();
  const auto without = unpack_awq(views, layout_of(matrix));
  ASSERT_TRUE(without.ok()) << to_string(without.error());
  expect_same(*without, matrix);
  const auto missing = unpack_awq(views, layout);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().field, "qzeros");
}

TEST(AwqLayout, WordsMayLieAtAnyAddress) {
  const IntegerMatrix matrix = random_matrix(16, 24, 4, 8, false);
  const auto packed = pack_awq(matrix);
  ASSERT_TRUE(packed.ok());
  AwqViews views = views_of(*packed, matrix);
  std::vector<std::byte> shifted(views.qweight.bytes.size() + 1);
  std::copy(views.qweight.bytes.begin(), views.qweight.bytes.end(), shifted.begin() + 1);
  views.qweight.bytes = std::span(shifted).subspan(1);
  views.qweight.dtype = DType::u32;  // some writers name the container so
  const auto back = unpack_awq(views, layout_of(matrix));
  ASSERT_TRUE(back.ok()) << to_string(back.error());
  expect_same(*back, matrix);
}

TEST(AwqLayout, PureFromManyThreads) {
  const IntegerMatrix matrix = random_matrix(264, 192, 4, 16, false);
  const auto expected = pack_awq(matrix);
  ASSERT_TRUE(expected.ok());
  std::array<bool, 4> same{};
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < same.size(); ++i) {
    threads.emplace_back([&, i] {
      const auto packed = pack_awq(matrix);
      const auto back = unpack_awq(views_of(*expected, matrix), layout_of(matrix));
      same[i] = packed.ok() && back.ok() && packed->qweight == expected->qweight &&
                packed->qzeros == expected->qzeros && packed->scales == expected->scales && back->codes == matrix.codes;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(same, testing::Each(true));
}

TEST(AwqLayout, WiderScalesAreReadAsTheyAre) {
  for (const DType dtype : {DType::bf16, DType::f32}) {
    const IntegerMatrix matrix = random_matrix(8, 16, 4, 16, false, dtype);
    auto packed = pack_awq(matrix);
    ASSERT_TRUE(packed.ok());
    AwqViews views = views_of(*packed, matrix);
    std::vector<std::uint16_t> halves;
    for (const float scale : matrix.scales)
      halves.push_back(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(scale) >> 16));
    views.scales = dtype == DType::f32 ? view(dtype, {1, 8}, matrix.scales) : view(dtype, {1, 8}, halves);
    const auto back = unpack_awq(views, layout_of(matrix));
    ASSERT_TRUE(back.ok()) << to_string(back.error());
    expect_same(*back, matrix);
  }
}

TEST(AwqLayout, PackRefusesWhatTheLayoutCannotHold) {
  const auto field_of = [](const IntegerMatrix& matrix) {
    const auto packed = pack_awq(matrix);
    if (packed.ok()) return std::string("accepted");
    EXPECT_EQ(packed.error().fault, Fault::invalid_argument);
    return packed.error().field;
  };
  EXPECT_EQ(field_of(random_matrix(8, 32, 3, 16, false)), "bits");
  EXPECT_EQ(field_of(random_matrix(12, 32, 4, 16, false)), "shape");
  EXPECT_EQ(field_of(random_matrix(8, 40, 4, 16, false)), "group_size");
  IntegerMatrix matrix = random_matrix(8, 32, 4, 16, false);
  std::swap(matrix.group_of_column[0], matrix.group_of_column[31]);
  EXPECT_EQ(field_of(matrix), "group_of_column");
  for (const float scale : {1e-9F, 1e6F, 1.0F + 1.0F / 65536}) {
    matrix = random_matrix(8, 32, 4, 16, false, DType::f32);
    matrix.scales[3] = scale;
    EXPECT_EQ(field_of(matrix), "scales");
  }
}

// Each damage must be refused with the field that shows it.
TEST(AwqLayout, RefusesContradictions) {
  const IntegerMatrix matrix = random_matrix(8, 64, 4, 16, false);
  const auto packed = pack_awq(matrix);
  ASSERT_TRUE(packed.ok());
  const AwqViews good = views_of(*packed, matrix);
  const AwqLayout layout = layout_of(matrix);
  const auto field_of = [&](const AwqViews& views, const AwqLayout& used) {
    const auto result = unpack_awq(views, used);
    return result.ok() ? std::string("accepted") : result.error().field;
  };
  EXPECT_EQ(field_of(good, layout), "accepted");
  for (std::size_t size = 0; size < good.qweight.bytes.size(); ++size) {
    AwqViews cut = good;
    cut.qweight.bytes = cut.qweight.bytes.first(size);
    ASSERT_EQ(field_of(cut, layout), "qweight") << size;
  }
  AwqViews bad = good;
  bad.qweight.shape = {1, 64};
  EXPECT_EQ(field_of(bad, layout), "qweight");
  bad = good;
  bad.qzeros->shape = {1, 4};
  EXPECT_EQ(field_of(bad, layout), "qzeros");
  bad = good;
  bad.qzeros->bytes = bad.qzeros->bytes.first(15);
  EXPECT_EQ(field_of(bad, layout), "qzeros");
  bad = good;
  bad.scales.dtype = DType::i16;
  EXPECT_EQ(field_of(bad, layout), "scales");
  bad = good;
  bad.scales.shape = {8, 4};
  EXPECT_EQ(field_of(bad, layout), "scales");
  std::vector<std::uint16_t> scales = packed->scales;
  for (const int pattern : {0x0000, 0x7c00, 0x7e00, 0xbc00}) {  // zero, infinity, NaN, -1
    scales[2] = static_cast<std::uint16_t>(pattern);
    bad = good;
    bad.scales = view(DType::f16, {4, 8}, scales);
    EXPECT_EQ(field_of(bad, layout), "scales") << pattern;
  }
}

TEST(AwqLayout, RefusesLayoutsThatContradictTheTensors) {
  const IntegerMatrix matrix = random_matrix(8, 64, 4, 16, false);
  const auto packed = pack_awq(matrix);
  ASSERT_TRUE(packed.ok());
  const AwqViews good = views_of(*packed, matrix);
  const auto field_of = [&](auto change) {
    AwqLayout used = layout_of(matrix);
    change(used);
    const auto result = unpack_awq(good, used);
    return result.ok() ? std::string("accepted") : result.error().field;
  };
  EXPECT_EQ(field_of([](AwqLayout& used) { used.group_size = 32; }), "scales");
  EXPECT_EQ(field_of([](AwqLayout& used) { used.group_size = 24; }), "group_size");
  EXPECT_EQ(field_of([](AwqLayout& used) { used.group_size = 128; }), "group_size");
  EXPECT_EQ(field_of([](AwqLayout& used) { used.group_size = 0; }), "group_size");
  EXPECT_EQ(field_of([](AwqLayout& used) { used.rows = 16; }), "qweight");
  EXPECT_EQ(field_of([](AwqLayout& used) { used.rows = 12; }), "shape");
  EXPECT_EQ(field_of([](AwqLayout& used) { used.cols = 32; }), "qweight");
  EXPECT_EQ(field_of([](AwqLayout& used) { used.rows = INT64_MAX; }), "shape");
  // Stored zeros that are not 8 contradict "zero_point": false.
  EXPECT_EQ(field_of([](AwqLayout& used) { used.symmetric = true; }), "zero_points");
}

}  // namespace
}  // namespace quernel::codec
