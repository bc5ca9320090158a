#include "tensor/hadamard.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"

namespace quernel {
namespace {

// Exact, in integers: the rows of signs are orthogonal.
TEST(Hadamard, PaleySignsAreOrthogonal) {
  for (const std::int64_t order : {1, 12, 20, 28, 36, 44, 60, 76, 140, 148}) {
    const std::vector<std::int8_t> signs = paley_hadamard(order);
    ASSERT_EQ(static_cast<std::int64_t>(signs.size()), order * order) << order;
    for (std::int64_t a = 0; a < order; ++a) {
      for (std::int64_t b = 0; b < order; ++b) {
        std::int64_t sum = 0;
        for (std::int64_t k = 0; k < order; ++k) {
          sum += signs[static_cast<std::size_t>(a * order + k)] * signs[static_cast<std::size_t>(b * order + k)];
        }
        ASSERT_EQ(sum, a == b ? order : 0) << order << ": rows " << a << ", " << b;
      }
    }
  }
  EXPECT_TRUE(paley_hadamard(3).empty());
  EXPECT_TRUE(paley_hadamard(92).empty());  // exists, but not by these constructions
}

TEST(Hadamard, FindsCoresAndBlocks) {
  struct Case {
    std::int64_t size, core, block;
  };
  for (const Case c : {Case{1, 1, 1}, Case{64, 1, 64}, Case{576, 36, 576}, Case{1536, 12, 1536}, Case{14336, 28, 14336},
                       Case{2560, 20, 2560}, Case{9728, 76, 9728}, Case{7, 1, 1}, Case{6, 1, 2}, Case{100, 20, 20},
                       Case{11008, 1, 256}}) {
    const Hadamard h(c.size);
    EXPECT_EQ(h.core_size(), c.core) << c.size;
    EXPECT_EQ(h.block_size(), c.block) << c.size;
    EXPECT_EQ(h.is_full(), c.block == c.size) << c.size;
  }
}

TEST(Hadamard, MatrixTimesItsTransposeIsTheIdentity) {
  for (const std::int64_t size : {1, 2, 3, 6, 12, 16, 24, 36, 40, 56, 72, 100, 128}) {
    const MatrixF64 h = Hadamard(size).matrix();
    for (std::int64_t a = 0; a < size; ++a) {
      for (std::int64_t b = 0; b < size; ++b) {
        double sum = 0.0;
        for (std::int64_t k = 0; k < size; ++k) sum += h(a, k) * h(b, k);
        ASSERT_NEAR(sum, a == b ? 1.0 : 0.0, 1e-14) << size;
      }
    }
  }
}

template <class T>
BasicMatrix<T> random_rows(std::int64_t rows, std::int64_t cols) {
  CounterRng rng(5, "hadamard");
  auto matrix = BasicMatrix<T>::uninitialized(rows, cols);
  for (std::int64_t i = 0; i < matrix.size(); ++i) matrix.data()[i] = static_cast<T>(rng.normal());
  return matrix;
}

template <class T>
void compare_with_matrix(std::int64_t size, double tolerance) {
  const Hadamard h(size);
  const MatrixF64 dense = h.matrix();
  const BasicMatrix<T> before = random_rows<T>(3, size);
  BasicMatrix<T> forward = before.clone();
  h.apply(forward.view());
  BasicMatrix<T> back = before.clone();
  h.apply_transposed(back.view());
  for (std::int64_t row = 0; row < before.rows(); ++row) {
    for (std::int64_t i = 0; i < size; ++i) {
      double with = 0.0;
      double transposed = 0.0;
      for (std::int64_t k = 0; k < size; ++k) {
        with += dense(i, k) * static_cast<double>(before(row, k));
        transposed += dense(k, i) * static_cast<double>(before(row, k));
      }
      ASSERT_NEAR(static_cast<double>(forward(row, i)), with, tolerance) << size;
      ASSERT_NEAR(static_cast<double>(back(row, i)), transposed, tolerance) << size;
    }
  }
}

TEST(Hadamard, FastTransformEqualsTheMatrix) {
  for (const std::int64_t size : {1, 2, 5, 12, 16, 20, 24, 28, 36, 64, 100, 128, 144, 576}) {
    compare_with_matrix<double>(size, 1e-12);
    compare_with_matrix<float>(size, 1e-5);
  }
}

TEST(Hadamard, ColumnsAndThreadsAgreeWithRows) {
  const Hadamard h(24);
  const MatrixF64 rows = random_rows<double>(11, 24);
  for (const bool transposed : {false, true}) {
    MatrixF64 columns(24, 11);
    for (std::int64_t i = 0; i < 11; ++i) {
      for (std::int64_t k = 0; k < 24; ++k) columns(k, i) = rows(i, k);
    }
    MatrixF64 expected = rows.clone();
    if (transposed) {
      h.apply_transposed(expected.view());
      h.apply_transposed_to_columns(columns);
    } else {
      h.apply(expected.view());
      h.apply_to_columns(columns);
    }
    for (std::int64_t i = 0; i < 11; ++i) {
      for (std::int64_t k = 0; k < 24; ++k) ASSERT_EQ(columns(k, i), expected(i, k));
    }
  }
  sys::ThreadPool pool(2);
  Matrix one = random_rows<float>(50, 24);
  Matrix two = one.clone();
  h.apply(one.view());
  h.apply(two.view(), pool);
  for (std::int64_t i = 0; i < one.size(); ++i) ASSERT_EQ(one.data()[i], two.data()[i]);
}

}  // namespace
}  // namespace quernel
