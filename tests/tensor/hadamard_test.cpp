#include "tensor/hadamard.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/rng.h"

namespace quernel {
namespace {

// The transform as a matrix: row i is what becomes of the i-th unit row.
MatrixF64 dense(const Hadamard& transform) {
  MatrixF64 out(transform.size(), transform.size());
  for (std::int64_t i = 0; i < transform.size(); ++i) {
    out(i, i) = 1.0;
    transform.apply(out.row(i));
  }
  return out;
}

TEST(Hadamard, CoresAreHadamardMatrices) {
  // Among them prime powers: 28 = 27 + 1, 52 = 2 (25 + 1), 100 = 2 (49 + 1), 344 = 343 + 1.
  for (const std::int64_t order : {1, 2, 4, 12, 20, 28, 36, 40, 44, 52, 60, 68, 76, 84, 100, 108, 140, 148, 172 * 2}) {
    SCOPED_TRACE(order);
    const auto core = paley_hadamard(order);
    if (order == 40) {  // 39 is no prime power, 19 is 3 mod 4: made of 20 by doubling
      EXPECT_FALSE(core.has_value());
      continue;
    }
    ASSERT_TRUE(core.has_value());
    ASSERT_EQ(core->order, order);
    for (std::int64_t a = 0; a < order; ++a)
      for (std::int64_t b = a; b < order; ++b) {
        std::int64_t dot = 0;
        for (std::int64_t k = 0; k < order; ++k)
          dot += core->signs[static_cast<std::size_t>(a * order + k)] * core->signs[static_cast<std::size_t>(b * order + k)];
        ASSERT_EQ(dot, a == b ? order : 0) << a << ", " << b;
      }
    for (const std::int8_t sign : core->signs) ASSERT_TRUE(sign == 1 || sign == -1);
  }
}

TEST(Hadamard, ThereIsNoneOfOddOrUnknownOrder) {
  for (const std::int64_t order : {0, 3, 6, 92, 116, 156}) EXPECT_FALSE(paley_hadamard(order).has_value()) << order;
}

TEST(Hadamard, BlocksAreWholeWhereACoreExists) {
  EXPECT_EQ(Hadamard(1).block(), 1);
  EXPECT_EQ(Hadamard(64).block(), 64);
  for (const std::int64_t size : {12, 40, 72, 576, 1536, 896, 4864, 8960, 11008, 18944}) {
    EXPECT_EQ(Hadamard(size).block(), size) << size;
  }
  EXPECT_EQ(Hadamard(92).block(), 4);   // neither 92 nor a multiple divides it
  EXPECT_EQ(Hadamard(184).block(), 8);  // 183 and 91 are no prime powers
  EXPECT_EQ(Hadamard(45).block(), 1);
}

TEST(Hadamard, SylvesterOfFourBySight) {
  const Hadamard transform(4);
  std::vector<double> x{1, 2, 3, 4};
  transform.apply(x);
  EXPECT_EQ(x, (std::vector<double>{5, -1, -2, 0}));
}

TEST(Hadamard, IsOrthogonalWithFlatEntries) {
  for (const std::int64_t size : {2, 8, 12, 24, 36, 40, 72, 92, 100, 144, 576}) {
    SCOPED_TRACE(size);
    const Hadamard transform(size);
    const MatrixF64 matrix = dense(transform);
    const double flat = 1.0 / std::sqrt(static_cast<double>(transform.block()));
    for (std::int64_t a = 0; a < size; ++a)
      for (std::int64_t b = 0; b < size; ++b) {
        double dot = 0;
        for (std::int64_t k = 0; k < size; ++k) dot += matrix(a, k) * matrix(b, k);
        ASSERT_NEAR(dot, a == b ? 1.0 : 0.0, 1e-12);
        const bool inside = a / transform.block() == b / transform.block();
        ASSERT_NEAR(std::abs(matrix(a, b)), inside ? flat : 0.0, 1e-12);
      }
  }
}

TEST(Hadamard, TheFastWayIsTheProductWithTheMatrix) {
  const Hadamard transform(72);  // a core of 36, doubled once
  const auto core = paley_hadamard(36);
  ASSERT_TRUE(core.has_value());
  CounterRng rng(1, "row");
  std::vector<double> x(72);
  for (double& value : x) value = rng.normal();
  std::vector<double> expected(72, 0.0);
  for (std::size_t j = 0; j < 72; ++j) {
    for (std::size_t i = 0; i < 72; ++i) {
      const double sylvester = i % 2 == 1 && j % 2 == 1 ? -1.0 : 1.0;
      expected[j] += x[i] * core->signs[i / 2 * 36 + j / 2] * sylvester / std::sqrt(72.0);
    }
  }
  transform.apply(x);
  for (std::size_t j = 0; j < 72; ++j) EXPECT_NEAR(x[j], expected[j], 1e-12);
}

TEST(Hadamard, InverseUndoes) {
  for (const std::int64_t size : {1, 28, 92, 344, 576}) {
    const Hadamard transform(size);
    CounterRng rng(2, "row");
    std::vector<double> x(static_cast<std::size_t>(size));
    for (double& value : x) value = rng.normal();
    std::vector<double> y = x;
    std::vector<float> narrow(x.begin(), x.end());
    transform.apply(y);
    transform.apply_inverse(y);
    transform.apply(narrow);
    transform.apply_inverse(narrow);
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_NEAR(y[i], x[i], 1e-12);
      ASSERT_NEAR(narrow[i], x[i], 1e-5);
    }
  }
}

}  // namespace
}  // namespace quernel
