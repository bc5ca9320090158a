#include "engine/packed_linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/rng.h"
#include "codec/integer_matrix.h"

namespace quernel::engine {
namespace {

constexpr std::int64_t kRows = 70;
constexpr std::int64_t kCols = 150;
constexpr std::int64_t kTokens = 5;

codec::IntegerMatrix matrix_with_outliers() {
  CounterRng rng(1, "matrix");
  codec::IntegerMatrix m;
  m.rows = kRows;
  m.cols = kCols;
  m.bits = 4;
  m.group_size = 64;
  m.group_of_column = codec::contiguous_groups(kCols, 64);
  m.codes.resize(kRows * kCols);
  for (auto& code : m.codes) code = static_cast<std::uint8_t>(rng.below(16));
  const auto groups = static_cast<std::size_t>(kRows * m.num_groups());
  m.zero_points.assign(groups, 7);
  m.scales.assign(groups, 0.0625F);
  m.outliers = {{0, 149, 40.0F}, {33, 2, -25.5F}, {33, 90, 3.0F}, {69, 64, 12.0F}};
  for (const codec::Outlier& outlier : m.outliers)
    m.codes[static_cast<std::size_t>(outlier.row * kCols + outlier.col)] = 7;
  return m;
}

TEST(PackedLinear, OutliersAndBiasJoinTheProductHoweverItIsCut) {
  sys::ThreadPool pool(2);
  const codec::IntegerMatrix matrix = matrix_with_outliers();
  ASSERT_TRUE(codec::validate(matrix).ok());
  PackedLinear linear = std::move(pack_integers(matrix, {pool})).value();
  for (std::int64_t n = 0; n < kRows; ++n) linear.bias.push_back(0.5F * static_cast<float>(n));
  const Matrix weight = codec::dequantize(matrix);
  for (const bool two_parts : {false, true}) {
    RowCodes x = std::move(RowCodes::make(kTokens, kCols)).value();
    x.begin(kTokens, kCols, two_parts, 32);
    CounterRng rng(2, "x");
    for (std::int64_t m = 0; m < kTokens; ++m) {
      std::vector<float> row(kCols);
      for (float& value : row) value = static_cast<float>(rng.normal());
      x.put(m, row.data());
    }
    std::vector<std::uint8_t> scratch(1 << 16);
    auto* aligned = reinterpret_cast<std::uint8_t*>((reinterpret_cast<std::uintptr_t>(scratch.data()) + 63) / 64 * 64);
    std::vector<float> parts(2 * kTokens * 64);
    std::vector<float> whole(kTokens * kRows, -1.0F), cut(kTokens * kRows, -2.0F);
    const Product to_whole{&linear, &x, whole.data(), kRows};
    const Product to_cut{&linear, &x, cut.data(), kRows};
    run_products({&to_whole, 1}, 0, num_panels({&to_whole, 1}), {aligned, parts.data()});
    for (std::int64_t panel = 0; panel < 5; ++panel)
      run_products({&to_cut, 1}, panel, panel + 1, {aligned, parts.data()});
    EXPECT_EQ(whole, cut);
    for (std::int64_t m = 0; m < kTokens; ++m)
      for (std::int64_t n = 0; n < kRows; ++n) {
        double sum = linear.bias[static_cast<std::size_t>(n)];
        for (std::int64_t k = 0; k < kCols; ++k) sum += static_cast<double>(weight(n, k)) * x.value(m, k);
        ASSERT_NEAR(whole[static_cast<std::size_t>(m * kRows + n)], sum, 1e-4 * (1 + std::fabs(sum))) << m << " " << n;
      }
  }
}

// Columns in act-order: the same product as the matrix in the order of its groups, of codes in that order.
TEST(PackedLinear, ActOrderPutsActivationsWhereTheirGroupsAre) {
  sys::ThreadPool pool(2);
  codec::IntegerMatrix matrix = matrix_with_outliers();
  matrix.levels.reset();
  CounterRng rng(4, "act-order");
  for (std::size_t k = matrix.group_of_column.size(); k > 1; --k)
    std::swap(matrix.group_of_column[k - 1], matrix.group_of_column[rng.below(k)]);
  const PackedLinear linear = std::move(pack_integers(matrix, {pool})).value();
  ASSERT_EQ(linear.order.size(), static_cast<std::size_t>(kCols));
  const Matrix weight = codec::dequantize(matrix);
  RowCodes x = std::move(RowCodes::make(kTokens, kCols)).value();
  RowCodes ordered = std::move(RowCodes::make(kTokens, kCols)).value();
  for (RowCodes* codes : {&x, &ordered}) codes->begin(kTokens, kCols, true, 32);
  for (std::int64_t m = 0; m < kTokens; ++m) {
    std::vector<float> row(kCols);
    for (float& value : row) value = static_cast<float>(rng.normal());
    x.put(m, row.data());
    ordered.put_ordered(m, x, linear.order);
  }
  std::vector<std::uint8_t> scratch(1 << 16);
  auto* aligned = reinterpret_cast<std::uint8_t*>((reinterpret_cast<std::uintptr_t>(scratch.data()) + 63) / 64 * 64);
  std::vector<float> parts(2 * kTokens * 64);
  std::vector<float> out(kTokens * kRows);
  const Product product{&linear, &ordered, out.data(), kRows};
  run_products({&product, 1}, 0, num_panels({&product, 1}), {aligned, parts.data()});
  for (std::int64_t m = 0; m < kTokens; ++m)
    for (std::int64_t n = 0; n < kRows; ++n) {
      double sum = 0.0;
      double magnitude = 0.0;
      for (std::int64_t k = 0; k < kCols; ++k) {
        const double term = static_cast<double>(weight.view()(n, k)) * static_cast<double>(x.value(m, k));
        sum += term;
        magnitude += std::fabs(term);
      }
      ASSERT_NEAR(out[static_cast<std::size_t>(m * kRows + n)], sum, 1e-5 * magnitude) << m << " " << n;
    }
}

}  // namespace
}  // namespace quernel::engine
