// The products of gemm_bf16 checked against sums in double, for any set of functions.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/gemm_bf16/driver.h"
#include "kernels/kernel_test.h"
#include "tensor/half.h"

namespace quernel::kernels::gemm_bf16 {

inline Matrix random_matrix(std::int64_t rows, std::int64_t cols, const char* stream, double scale = 1.0) {
  Matrix matrix = Matrix::uninitialized(rows, cols);
  const auto values = normal_values(rows * cols, stream, scale);
  std::copy(values.begin(), values.end(), matrix.data());
  return matrix;
}

inline bool same_bits(const Matrix& a, const Matrix& b) {
  return a.size() == b.size() &&
         std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(float)) == 0;
}

// The bound of products.h.
inline double stated_bound(double magnitude, std::int64_t terms) {
  const auto k = static_cast<double>(terms);
  return (0x1.0p-7 + 0x1.0p-16 + (k + 2) * 0x1.0p-23) * magnitude + k * 0x1.0p-125;
}
// What is left once the inputs are already bf16: the sums alone.
inline double sum_bound(double magnitude, std::int64_t terms) {
  return (static_cast<double>(terms) + 2) * 0x1.0p-23 * magnitude + static_cast<double>(terms) * 0x1.0p-125;
}

// out(i, j) against before(i, j) + sum of a(i, k) b(j, k), elements given by functions; `tight`: of rounded inputs.
template <class A, class B>
void check_element(float out, double before, std::int64_t terms, A a, B b) {
  double exact = before;
  double rounded = before;
  double magnitude = std::fabs(before);
  for (std::int64_t k = 0; k < terms; ++k) {
    exact += double{a(k)} * double{b(k)};
    rounded += double{bf16_to_float(float_to_bf16(a(k)))} * double{bf16_to_float(float_to_bf16(b(k)))};
    magnitude += std::fabs(double{a(k)} * double{b(k)});
  }
  ASSERT_NEAR(out, exact, stated_bound(magnitude, terms));
  ASSERT_NEAR(out, rounded, sum_bound(magnitude * 1.02, terms));
}

inline void check_gemm_nt(const Functions& functions, std::int64_t m, std::int64_t n, std::int64_t k, bool accumulate,
                          sys::ThreadPool& pool) {
  const Matrix a = random_matrix(m, k + 3, "a");
  const Matrix b = random_matrix(n, k + 1, "b");
  Matrix out = random_matrix(m, n + 5, "out");
  const Matrix before = out.clone();
  gemm_nt_with(functions, a.view().block(0, m, 3, k), b.view().block(0, n, 1, k), out.view().block(0, m, 0, n),
               accumulate, pool);
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j)
      ASSERT_NO_FATAL_FAILURE(check_element(
          out(i, j), accumulate ? before(i, j) : 0.0, k, [&](auto p) { return a(i, p + 3); },
          [&](auto p) { return b(j, p + 1); }))
          << m << "x" << n << "x" << k << " at " << i << ", " << j;
    for (std::int64_t j = n; j < n + 5; ++j) ASSERT_EQ(out(i, j), before(i, j)) << "beyond the row";
  }
}

inline void check_syrk(const Functions& functions, std::int64_t rows, std::int64_t n, sys::ThreadPool& pool) {
  const Matrix x = random_matrix(rows, n + 2, "x");
  Matrix out = random_matrix(n, n, "out");
  const Matrix before = out.clone();
  syrk_accumulate_with(functions, x.view().block(0, rows, 2, n), out, pool);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      if (j > i) {
        ASSERT_EQ(out(i, j), before(i, j)) << "above the diagonal";
        continue;
      }
      ASSERT_NO_FATAL_FAILURE(check_element(
          out(i, j), before(i, j), rows, [&](auto p) { return x(p, i + 2); }, [&](auto p) { return x(p, j + 2); }))
          << rows << "x" << n << " at " << i << ", " << j;
    }
}

inline void check_gemm_tn(const Functions& functions, std::int64_t rows, std::int64_t n1, std::int64_t n2,
                          sys::ThreadPool& pool) {
  const Matrix x = random_matrix(rows, n1, "x");
  const Matrix y = random_matrix(rows, n2, "y");
  Matrix out = random_matrix(n1, n2, "out");
  const Matrix before = out.clone();
  gemm_tn_accumulate_with(functions, x, y, out, pool);
  for (std::int64_t i = 0; i < n1; ++i)
    for (std::int64_t j = 0; j < n2; ++j)
      ASSERT_NO_FATAL_FAILURE(check_element(
          out(i, j), before(i, j), rows, [&](auto p) { return x(p, i); }, [&](auto p) { return y(p, j); }))
          << rows << "x" << n1 << "x" << n2 << " at " << i << ", " << j;
}

}  // namespace quernel::kernels::gemm_bf16
