#include "tensor/tensor_view.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "tensor/half.h"

namespace quernel {
namespace {

// Bytes of values at an odd address, as they stand in a container.
class Unaligned {
 public:
  template <class T>
  explicit Unaligned(const std::vector<T>& values) : bytes_(1) {
    const auto source = std::as_bytes(std::span(values));
    bytes_.insert(bytes_.end(), source.begin(), source.end());
  }
  [[nodiscard]] std::span<const std::byte> view() const { return std::span<const std::byte>(bytes_).subspan(1); }

 private:
  std::vector<std::byte> bytes_;
};

template <class T>
void check_type(DType dtype, const std::vector<T>& values, const std::vector<float>& expected) {
  const Unaligned bytes(values);
  std::vector<float> out(values.size());
  const TensorView tensor{dtype, {static_cast<std::int64_t>(values.size())}, bytes.view()};
  ASSERT_TRUE(to_float(tensor, out).ok()) << to_string(dtype);
  EXPECT_EQ(out, expected) << to_string(dtype);
}

TEST(TensorView, ReadsEveryTypeAtOddAddresses) {
  check_type<float>(DType::f32, {1.5F, -2.0F, 1e-40F}, {1.5F, -2.0F, 1e-40F});
  check_type<double>(DType::f64, {0.1, -3.0}, {0.1F, -3.0F});
  check_type<std::uint16_t>(DType::f16, {0x3C00, 0xC000, 0x0001}, {1.0F, -2.0F, 0x1.0p-24F});
  check_type<std::uint16_t>(DType::bf16, {0x3F80, 0xC000}, {1.0F, -2.0F});
  check_type<std::int8_t>(DType::i8, {-128, 127}, {-128.0F, 127.0F});
  check_type<std::uint8_t>(DType::u8, {0, 255}, {0.0F, 255.0F});
  check_type<std::int16_t>(DType::i16, {-32768, 5}, {-32768.0F, 5.0F});
  check_type<std::uint16_t>(DType::u16, {65535}, {65535.0F});
  check_type<std::int32_t>(DType::i32, {-7, 1 << 24}, {-7.0F, 16777216.0F});
  check_type<std::uint32_t>(DType::u32, {4294967295u}, {4294967296.0F});
}

TEST(TensorView, LongRowsCrossTheBuffer) {
  std::vector<std::uint16_t> values(5000);
  std::vector<float> expected(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<std::uint16_t>(i * 7 % 0x7C00);
    expected[i] = f16_to_float(values[i]);
  }
  check_type(DType::f16, values, expected);
}

TEST(TensorView, RefusesTypesThatAreNotNumbersHere) {
  const std::vector<std::byte> bytes(8);
  std::vector<float> out(1);
  const Status status = to_float({DType::i64, {1}, bytes}, out);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::unsupported);
  EXPECT_EQ(status.error().found, "I64");
}

TEST(TensorView, MatricesOfRankOneAndTwo) {
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  const auto bytes = std::as_bytes(std::span(values));
  const auto vector = to_matrix({DType::f32, {6}, bytes});
  ASSERT_TRUE(vector.ok());
  EXPECT_EQ(vector->rows(), 1);
  EXPECT_EQ(vector->cols(), 6);
  const auto matrix = to_matrix({DType::f32, {3, 2}, bytes});
  ASSERT_TRUE(matrix.ok());
  EXPECT_EQ((*matrix)(2, 0), 5.0F);
  EXPECT_FALSE(to_matrix({DType::f32, {1, 2, 3}, bytes}).ok());
  EXPECT_FALSE(to_matrix({DType::f32, {}, bytes.first(4)}).ok());
}

TEST(TensorView, EmptyTensors) {
  std::vector<float> none;
  EXPECT_TRUE(to_float({DType::f32, {0, 4}, {}}, none).ok());
  EXPECT_EQ(to_string(Shape{576, 1536}), "[576, 1536]");
  EXPECT_EQ(to_string(Shape{}), "[]");
}

TEST(TensorView, FindsTheFirstNonfinite) {
  std::vector<float> values(5000, std::numeric_limits<float>::max());
  EXPECT_EQ(first_nonfinite(values), -1);
  values[4321] = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(first_nonfinite(values), 4321);
  values[1023] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(first_nonfinite(values), 1023);
  EXPECT_EQ(first_nonfinite({}), -1);
}

}  // namespace
}  // namespace quernel
