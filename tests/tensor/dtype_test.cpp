#include "tensor/dtype.h"

#include <gtest/gtest.h>

namespace quernel {
namespace {

TEST(DType, NamesGoThereAndBack) {
  for (int i = 0; i <= static_cast<int>(DType::f8_e5m2); ++i) {
    const auto dtype = static_cast<DType>(i);
    ASSERT_TRUE(dtype_from_name(to_string(dtype)).has_value()) << i;
    EXPECT_EQ(*dtype_from_name(to_string(dtype)), dtype);
    EXPECT_GT(size_of(dtype), 0u);
  }
  EXPECT_EQ(to_string(DType::bf16), "BF16");
  EXPECT_FALSE(dtype_from_name("bf16").has_value());
  EXPECT_FALSE(dtype_from_name("").has_value());
}

}  // namespace
}  // namespace quernel
