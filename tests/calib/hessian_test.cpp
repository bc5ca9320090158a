#include "calib/hessian.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/rng.h"

namespace quernel::calib {
namespace {

Matrix random_matrix(std::int64_t rows, std::int64_t cols, std::uint64_t seed) {
  Matrix matrix(rows, cols);
  CounterRng rng(seed, "hessian test");
  for (std::int64_t i = 0; i < matrix.size(); ++i) {
    // One column in seven is an outlier, as activations have them.
    matrix.data()[i] = static_cast<float>(rng.normal() * (i % cols % 7 == 3 ? 100.0 : 1.0));
  }
  return matrix;
}

Matrix hessian_of(const Matrix& x, std::int64_t chunk, runtime::Precision precision, int threads) {
  sys::ThreadPool pool(threads);
  Matrix hessian(x.cols(), x.cols());
  for (std::int64_t row = 0; row < x.rows(); row += chunk) {
    accumulate_hessian(x.view().row_block(row, std::min(chunk, x.rows() - row)), precision, hessian, pool);
  }
  finish_hessian(hessian);
  return hessian;
}

void expect_near_product(const Matrix& x, const Matrix& hessian, double relative) {
  for (std::int64_t i = 0; i < x.cols(); ++i) {
    for (std::int64_t j = 0; j < x.cols(); ++j) {
      double sum = 0.0;
      double magnitude = 0.0;
      for (std::int64_t row = 0; row < x.rows(); ++row) {
        const double product = static_cast<double>(x(row, i)) * static_cast<double>(x(row, j));
        sum += product;
        magnitude += std::abs(product);
      }
      ASSERT_NEAR(hessian(i, j), sum, relative * magnitude) << i << ", " << j;
    }
  }
}

TEST(Hessian, IsTheProductInFp32) {
  const Matrix x = random_matrix(700, 45, 1);
  const Matrix hessian = hessian_of(x, 256, runtime::Precision::f32, 2);
  expect_near_product(x, hessian, 702 * 0x1p-24);  // (n + 2) u for a sum of n products
}

TEST(Hessian, IsTheProductOfRoundedInputsInBf16) {
  const Matrix x = random_matrix(700, 45, 2);
  const Matrix hessian = hessian_of(x, 256, runtime::Precision::bf16, 2);
  expect_near_product(x, hessian, 0x1p-7 + 0x1p-16 + 702 * 0x1p-23);  // kernels/gemm_bf16/products.h
}

TEST(Hessian, IsSymmetricAndIndependentOfThreads) {
  const Matrix x = random_matrix(600, 150, 3);
  for (const runtime::Precision precision : {runtime::Precision::f32, runtime::Precision::bf16}) {
    const Matrix one = hessian_of(x, 200, precision, 1);
    for (std::int64_t i = 0; i < 150; ++i) {
      for (std::int64_t j = 0; j < i; ++j) ASSERT_EQ(one(i, j), one(j, i));
    }
    for (const int threads : {2, 3, 4}) {
      const Matrix other = hessian_of(x, 200, precision, threads);
      EXPECT_EQ(std::memcmp(one.data(), other.data(), static_cast<std::size_t>(one.size()) * sizeof(float)), 0);
    }
  }
}

}  // namespace
}  // namespace quernel::calib
