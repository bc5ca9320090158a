#include "kernels/int_rows/int_rows.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "base/rng.h"
#include "kernels/int_rows/table.h"
#include "kernels/kernel_test.h"

namespace quernel::kernels::int_rows {
namespace {

struct Part {
  std::vector<std::int8_t> codes;
  std::vector<std::int32_t> sums;
  float scale = -1.0F;

  explicit Part(std::int64_t stride)
      : codes(static_cast<std::size_t>(stride), 99), sums(static_cast<std::size_t>(stride / 16), 99) {}
  Row row() { return {codes.data(), sums.data(), &scale}; }
  bool operator==(const Part& other) const {
    return codes == other.codes && sums == other.sums && std::memcmp(&scale, &other.scale, sizeof scale) == 0;
  }
};

std::int64_t stride_of(std::int64_t size) { return (size + 63) / 64 * 64; }

std::vector<std::vector<float>> rows_of(std::int64_t size) {
  std::vector<std::vector<float>> rows;
  rows.push_back(normal_values(size, "row"));
  rows.push_back(normal_values(size, "outlier"));
  rows.back()[static_cast<std::size_t>(size / 2)] = 1e4F;
  rows.emplace_back(static_cast<std::size_t>(size), 0.0F);
  rows.emplace_back(static_cast<std::size_t>(size), -3.25F);
  rows.emplace_back(static_cast<std::size_t>(size), 1e-44F);  // subnormal: 127 / a is not finite
  rows.emplace_back(static_cast<std::size_t>(size), std::numeric_limits<float>::max());
  rows.push_back(normal_values(size, "ties"));
  for (std::size_t i = 0; i < rows.back().size(); ++i)
    rows.back()[i] = 0.5F * static_cast<float>(static_cast<int>(i % 509) - 254);
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    rows.push_back(normal_values(size, "bad"));
    rows.back().back() = bad;
  }
  return rows;
}

TEST(IntRows, EveryVariantGivesTheBitsOfTheReference) {
  const Functions& expected = variants().back().functions;
  for (std::int64_t size = 1; size <= 200; ++size) {
    const std::int64_t stride = stride_of(size) + (size % 3 == 0 ? 64 : 0);
    for (const std::vector<float>& x : rows_of(size)) {
      Part a(stride), a_high(stride), a_low(stride);
      expected.quantize(x.data(), size, stride, a.row());
      expected.split(x.data(), size, stride, a_high.row(), a_low.row());
      for (const Variant& variant : variants()) {
        if (!sys::can_use(variant.isa)) continue;
        Part b(stride), b_high(stride), b_low(stride);
        variant.functions.quantize(x.data(), size, stride, b.row());
        variant.functions.split(x.data(), size, stride, b_high.row(), b_low.row());
        ASSERT_TRUE(a == b) << variant.name << " " << size;
        ASSERT_TRUE(a_high == b_high && a_low == b_low) << variant.name << " " << size;
      }
    }
  }
}

TEST(IntRows, PartsLieInTheirRangesAndAddUp) {
  const std::int64_t size = 4096;
  std::vector<float> x(static_cast<std::size_t>(size));
  for (std::int64_t i = 0; i < size; ++i)
    x[static_cast<std::size_t>(i)] = static_cast<float>(i * 15 - 30000);  // many of the levels
  x.front() = -kMaxSplit;
  x.back() = kMaxSplit;
  Part high(size), low(size);
  variants().front().functions.split(x.data(), size, size, high.row(), low.row());
  for (std::int64_t i = 0; i < size; ++i) {
    const auto at = static_cast<std::size_t>(i);
    ASSERT_LE(std::abs(high.codes[at]), 127);
    ASSERT_LE(std::abs(low.codes[at]), 127);
    ASSERT_EQ(255.0F * high.codes[at] + low.codes[at], x[at]);
  }
  EXPECT_EQ(low.scale, 1.0F);
  EXPECT_EQ(high.scale, 255.0F);
}

}  // namespace
}  // namespace quernel::kernels::int_rows
