#include "tensor/linalg.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/rng.h"

namespace quernel {
namespace {

Matrix random_matrix(std::int64_t rows, std::int64_t cols, const char* name) {
  CounterRng rng(11, name);
  Matrix matrix = Matrix::uninitialized(rows, cols);
  for (std::int64_t i = 0; i < matrix.size(); ++i) matrix.data()[i] = static_cast<float>(rng.normal());
  return matrix;
}

bool same_bits(const Matrix& a, const Matrix& b) {
  return a.size() == b.size() &&
         std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(float)) == 0;
}

// Error of a float sum of k products, and of the reference's last rounding.
double bound(double magnitude, std::int64_t k) {
  return (static_cast<double>(k) + 2.0) * 0x1.0p-24 * magnitude + 1e-30;
}

struct Product {
  double value = 0;
  double magnitude = 0;
};

template <class A, class B>
Product dot(std::int64_t k, A a, B b) {
  Product sum;
  for (std::int64_t i = 0; i < k; ++i) {
    const double product = double{a(i)} * double{b(i)};
    sum.value += product;
    sum.magnitude += std::fabs(product);
  }
  return sum;
}

struct Size {
  std::int64_t m, n, k;
};
constexpr Size kSizes[] = {{1, 1, 1},    {1, 7, 3},      {5, 1, 17},    {13, 29, 31},
                           {64, 64, 64}, {65, 130, 100}, {300, 200, 33}};

TEST(Linalg, GemmNtMatchesTheDefinition) {
  sys::ThreadPool pool(2);
  for (const auto [m, n, k] : kSizes)
    for (const bool accumulate : {false, true}) {
      const Matrix a = random_matrix(m, k, "a");
      const Matrix b = random_matrix(n, k, "b");
      Matrix out = random_matrix(m, n, "out");
      const Matrix before = out.clone();
      if (!accumulate) out.fill(std::numeric_limits<float>::quiet_NaN());  // must be overwritten, not scaled
      gemm_nt(a, b, out, accumulate, pool);
      for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t j = 0; j < n; ++j) {
          const Product sum = dot(k, [&](auto p) { return a(i, p); }, [&](auto p) { return b(j, p); });
          const double base = accumulate ? double{before(i, j)} : 0.0;
          ASSERT_NEAR(out(i, j), sum.value + base, bound(sum.magnitude + std::fabs(base), k))
              << m << " " << n << " " << k;
        }
    }
}

TEST(Linalg, GemmNnScales) {
  sys::ThreadPool pool(2);
  for (const auto [m, n, k] : kSizes)
    for (const float beta : {0.0F, 1.0F, -0.5F}) {
      const Matrix a = random_matrix(m, k, "a");
      const Matrix b = random_matrix(k, n, "b");
      Matrix out = random_matrix(m, n, "out");
      const Matrix before = out.clone();
      if (beta == 0.0F) out.fill(std::numeric_limits<float>::quiet_NaN());
      gemm_nn(a, b, out, -2.0F, beta, pool);
      for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t j = 0; j < n; ++j) {
          const Product sum = dot(k, [&](auto p) { return a(i, p); }, [&](auto p) { return b(p, j); });
          const double base = beta == 0.0F ? 0.0 : double{beta} * before(i, j);
          ASSERT_NEAR(out(i, j), -2.0 * sum.value + base, bound(2 * sum.magnitude + std::fabs(base), k + 1));
        }
    }
}

TEST(Linalg, StridedViewsTouchOnlyTheirBlock) {
  sys::ThreadPool pool(2);
  const Matrix a = random_matrix(40, 60, "a");
  const Matrix b = random_matrix(50, 60, "b");
  Matrix whole(64, 96);
  whole.fill(7.0F);
  gemm_nt(a.view().block(3, 20, 5, 31), b.view().block(4, 33, 9, 31), whole.view().block(10, 20, 30, 33), false, pool);
  for (std::int64_t r = 0; r < whole.rows(); ++r)
    for (std::int64_t c = 0; c < whole.cols(); ++c) {
      if (r < 10 || r >= 30 || c < 30 || c >= 63) {
        ASSERT_EQ(whole(r, c), 7.0F);
        continue;
      }
      const Product sum =
          dot(31, [&](auto p) { return a(3 + r - 10, 5 + p); }, [&](auto p) { return b(4 + c - 30, 9 + p); });
      ASSERT_NEAR(whole(r, c), sum.value, bound(sum.magnitude, 31));
    }
}

TEST(Linalg, SyrkWritesTheLowerTriangleOnly) {
  sys::ThreadPool pool(2);
  for (const std::int64_t n : {1, 5, 64, 131, 300}) {
    const Matrix x = random_matrix(77, n, "x");
    Matrix out(n, n);
    out.fill(0.25F);
    syrk_accumulate(x, out, pool);
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < n; ++j) {
        if (j > i) {
          ASSERT_EQ(out(i, j), 0.25F) << i << " " << j;
          continue;
        }
        const Product sum = dot(77, [&](auto p) { return x(p, i); }, [&](auto p) { return x(p, j); });
        ASSERT_NEAR(out(i, j), sum.value + 0.25, bound(sum.magnitude + 0.25, 77));
      }
    mirror_lower(out);
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < n; ++j) ASSERT_EQ(out(i, j), out(j, i));
  }
}

TEST(Linalg, GemmTnMatchesTheDefinition) {
  sys::ThreadPool pool(2);
  const Matrix x = random_matrix(90, 37, "x");
  const Matrix y = random_matrix(90, 141, "y");
  Matrix out(37, 141);
  gemm_tn_accumulate(x, y, out, pool);
  for (std::int64_t i = 0; i < 37; ++i)
    for (std::int64_t j = 0; j < 141; ++j) {
      const Product sum = dot(90, [&](auto p) { return x(p, i); }, [&](auto p) { return y(p, j); });
      ASSERT_NEAR(out(i, j), sum.value, bound(sum.magnitude, 90));
    }
}

TEST(Linalg, ThreadsDoNotChangeABit) {
  const Matrix a = random_matrix(530, 577, "a");
  const Matrix b = random_matrix(700, 577, "b");
  Matrix nt[3], nn[3], tn[3], syrk[3];
  const int threads[] = {1, 2, 4};
  for (std::size_t t = 0; t < 3; ++t) {
    sys::ThreadPool pool(threads[t]);
    nt[t] = Matrix(530, 700);
    gemm_nt(a, b, nt[t], false, pool);
    nn[t] = Matrix(530, 577);
    gemm_nn(nt[t], b, nn[t], 1.0F, 0.0F, pool);
    tn[t] = Matrix(577, 577);
    gemm_tn_accumulate(a, nn[t], tn[t], pool);
    syrk[t] = Matrix(577, 577);
    syrk_accumulate(a, syrk[t], pool);
    EXPECT_TRUE(same_bits(nt[0], nt[t])) << threads[t];
    EXPECT_TRUE(same_bits(nn[0], nn[t])) << threads[t];
    EXPECT_TRUE(same_bits(tn[0], tn[t])) << threads[t];
    EXPECT_TRUE(same_bits(syrk[0], syrk[t])) << threads[t];
  }
  Matrix alone(530, 700);
  gemm_nt(a, b, alone, false);
  EXPECT_TRUE(same_bits(nt[0], alone));
}

TEST(Linalg, EmptyShapes) {
  sys::ThreadPool pool(2);
  Matrix out(3, 4);
  out.fill(5.0F);
  gemm_nt(Matrix(3, 0), Matrix(4, 0), out, true, pool);
  EXPECT_EQ(out(2, 3), 5.0F);
  gemm_nt(Matrix(3, 0), Matrix(4, 0), out, false, pool);
  EXPECT_EQ(out(2, 3), 0.0F);
  Matrix none(0, 4);
  gemm_nt(Matrix(0, 2), Matrix(4, 2), none, false, pool);
  syrk_accumulate(Matrix(0, 4), Matrix(4, 4), pool);
}

MatrixF64 random_spd(std::int64_t n) {
  CounterRng rng(5, "spd");
  MatrixF64 x(n + 3, n);
  for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] = rng.normal();
  MatrixF64 a(n, n);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      for (std::int64_t p = 0; p < x.rows(); ++p) a(i, j) += x(p, i) * x(p, j);
      if (i == j) a(i, j) += 0.1;
    }
  return a;
}

double largest(const MatrixF64& a) {
  double top = 0;
  for (std::int64_t i = 0; i < a.size(); ++i) top = std::max(top, std::fabs(a.data()[i]));
  return top;
}

TEST(Linalg, CholeskyAndInverse) {
  for (const std::int64_t n : {1, 2, 17, 128, 203}) {
    const MatrixF64 a = random_spd(n);
    MatrixF64 lower = a.clone();
    ASSERT_TRUE(cholesky_lower(lower).ok());
    const double tolerance = 1e-13 * static_cast<double>(n) * largest(a);
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < n; ++j) {
        if (j > i) {
          ASSERT_EQ(lower(i, j), 0.0);
        }
        double sum = 0;
        for (std::int64_t p = 0; p <= std::min(i, j); ++p) sum += lower(i, p) * lower(j, p);
        ASSERT_NEAR(sum, a(i, j), tolerance);
      }
    MatrixF64 inverse = lower.clone();
    ASSERT_TRUE(invert_lower(inverse).ok());
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < n; ++j) {
        if (j > i) {
          ASSERT_EQ(inverse(i, j), 0.0);
        }
        double sum = 0;
        for (std::int64_t p = 0; p < n; ++p) sum += lower(i, p) * inverse(p, j);
        ASSERT_NEAR(sum, i == j ? 1.0 : 0.0, 1e-10);
      }
  }
}

// The plain way: Gauss-Jordan inverse, then the column-by-column Cholesky of that.
MatrixF64 plain_inverse_upper(const MatrixF64& a) {
  const std::int64_t n = a.rows();
  MatrixF64 left = a.clone();
  MatrixF64 inverse(n, n);
  for (std::int64_t i = 0; i < n; ++i) inverse(i, i) = 1.0;
  for (std::int64_t p = 0; p < n; ++p) {
    const double pivot = left(p, p);
    for (std::int64_t c = 0; c < n; ++c) left(p, c) /= pivot, inverse(p, c) /= pivot;
    for (std::int64_t r = 0; r < n; ++r) {
      if (r == p) continue;
      const double factor = left(r, p);
      for (std::int64_t c = 0; c < n; ++c) left(r, c) -= factor * left(p, c), inverse(r, c) -= factor * inverse(p, c);
    }
  }
  MatrixF64 upper(n, n);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = i; j < n; ++j) {
      double rest = inverse(i, j);
      for (std::int64_t p = 0; p < i; ++p) rest -= upper(p, i) * upper(p, j);
      upper(i, j) = i == j ? std::sqrt(rest) : rest / upper(i, i);
    }
  return upper;
}

TEST(Linalg, InverseUpperCholeskyMatchesThePlainWay) {
  for (const std::int64_t n : {1, 2, 3, 31, 96}) {
    const MatrixF64 a = random_spd(n);
    const MatrixF64 expected = plain_inverse_upper(a);
    const auto upper = inverse_upper_cholesky(a);
    ASSERT_TRUE(upper.ok());
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < n; ++j) ASSERT_NEAR((*upper)(i, j), expected(i, j), 1e-9 * largest(expected)) << i;
    for (std::int64_t i = 1; i < n; ++i) ASSERT_EQ((*upper)(i, i - 1), 0.0);
  }
}

TEST(Linalg, RefusesMatricesThatAreNotPositiveDefinite) {
  MatrixF64 a = random_spd(20);
  a(7, 7) = -1.0;
  const Status status = cholesky_lower(a);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::invalid_argument);
  EXPECT_NE(status.error().message.find("pivot 7 of 20"), std::string::npos) << status.error().message;

  for (const std::int64_t row : {0, 9, 19}) {
    MatrixF64 broken = random_spd(20);
    broken(row, row / 2) = std::numeric_limits<double>::quiet_NaN();
    EXPECT_FALSE(cholesky_lower(broken).ok()) << row;
    MatrixF64 infinite = random_spd(20);
    infinite(row, row) = std::numeric_limits<double>::infinity();
    EXPECT_FALSE(cholesky_lower(infinite).ok()) << row;
  }
  EXPECT_FALSE(inverse_upper_cholesky(MatrixF64(4, 4)).ok());
  MatrixF64 singular(3, 3);
  EXPECT_FALSE(invert_lower(singular).ok());
}

}  // namespace
}  // namespace quernel
