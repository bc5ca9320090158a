#include "tensor/blas_check.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

namespace quernel::blas {

namespace {

// Whole numbers from -4 to 4, the same at every call (the generator of Numerical Recipes, 7.1).
class Numbers {
 public:
  float next() {
    state_ = state_ * 1664525U + 1013904223U;
    return static_cast<float>(static_cast<int>(state_ >> 24) % 9 - 4);
  }

 private:
  std::uint32_t state_ = 1;
};

// Rows lie further apart than they are long; what is between them must stay.
template <class T>
struct Block {
  int rows, cols, stride;
  std::vector<T> values;

  Block(int num_rows, int num_cols)
      : rows(num_rows), cols(num_cols), stride(num_cols + 3), values(static_cast<std::size_t>(rows) * stride) {}
  T& at(int row, int col) { return values[static_cast<std::size_t>(row) * stride + col]; }
  [[nodiscard]] T at(int row, int col) const { return values[static_cast<std::size_t>(row) * stride + col]; }
};

Block<float> random_block(int rows, int cols, Numbers& numbers) {
  Block<float> block(rows, cols);
  for (float& value : block.values) value = numbers.next();
  return block;
}

struct Shape {
  int m, n, k;
};
// One row as in decoding; odd sizes; more than a few registers in each direction.
constexpr std::array kShapes{Shape{1, 37, 65}, Shape{7, 5, 3}, Shape{16, 16, 16}, Shape{61, 83, 45},
                             Shape{67, 70, 190}};

// out[m, n] = a b, then out += a b. Sums stay below 2 * 190 * 16: exact in float.
bool multiplies(const Functions& functions, bool trans_a, bool trans_b, const Shape& s) {
  Numbers numbers;
  const Block<float> a = trans_a ? random_block(s.k, s.m, numbers) : random_block(s.m, s.k, numbers);
  const Block<float> b = trans_b ? random_block(s.n, s.k, numbers) : random_block(s.k, s.n, numbers);
  Block<float> out = random_block(s.m, s.n, numbers);
  Block<float> expected = out;
  for (int r = 0; r < s.m; ++r)
    for (int c = 0; c < s.n; ++c) {
      float sum = 0.0F;
      for (int i = 0; i < s.k; ++i) sum += (trans_a ? a.at(i, r) : a.at(r, i)) * (trans_b ? b.at(c, i) : b.at(i, c));
      expected.at(r, c) = sum;
    }
  const auto multiply = [&](float beta) {
    functions.sgemm(CblasRowMajor, trans_a ? CblasTrans : CblasNoTrans, trans_b ? CblasTrans : CblasNoTrans, s.m, s.n,
                    s.k, 1.0F, a.values.data(), a.stride, b.values.data(), b.stride, beta, out.values.data(),
                    out.stride);
  };
  multiply(0.0F);
  bool right = out.values == expected.values;
  for (int r = 0; r < s.m; ++r)
    for (int c = 0; c < s.n; ++c) expected.at(r, c) *= 2.0F;
  multiply(1.0F);
  return right && out.values == expected.values;
}

bool multiplies(const Functions& functions) {
  bool right = true;
  for (const Shape& shape : kShapes) {
    right &= multiplies(functions, false, true, shape);
    right &= multiplies(functions, false, false, shape);
    right &= multiplies(functions, true, false, shape);
  }
  return right;
}

// The lower triangle of out += x^T x.
bool multiplies_itself(const Functions& functions, int n, int k) {
  Numbers numbers;
  const Block<float> x = random_block(k, n, numbers);
  Block<float> out = random_block(n, n, numbers);
  Block<float> expected = out;
  for (int r = 0; r < n; ++r)
    for (int c = 0; c <= r; ++c)
      for (int i = 0; i < k; ++i) expected.at(r, c) += x.at(i, r) * x.at(i, c);
  functions.ssyrk(CblasRowMajor, CblasLower, CblasTrans, n, k, 1.0F, x.values.data(), x.stride, 1.0F, out.values.data(),
                  out.stride);
  return out.values == expected.values;
}

// Lower triangle, well conditioned: 16 on the diagonal, -1, 0 or 1 below.
Block<double> triangle(int n) {
  Numbers numbers;
  Block<double> lower(n, n);
  for (int r = 0; r < n; ++r)
    for (int c = 0; c <= r; ++c) lower.at(r, c) = c == r ? 16.0 : std::copysign(numbers.next() > 1.0F, numbers.next());
  return lower;
}

constexpr double kTolerance = 1e-10;  // values up to 256 + 90, rounded to 1e-13 at each of 90 steps

bool factors(const Functions& functions, int n) {
  const Block<double> lower = triangle(n);
  Block<double> a(n, n);
  for (int r = 0; r < n; ++r)
    for (int c = 0; c <= r; ++c)
      for (int i = 0; i <= c; ++i) a.at(r, c) += lower.at(r, i) * lower.at(c, i);
  int info = -1;
  functions.dpotrf("U", &n, a.values.data(), &a.stride, &info, 1);
  bool right = info == 0;
  for (int r = 0; r < n; ++r)
    for (int c = 0; c <= r; ++c) right &= std::abs(a.at(r, c) - lower.at(r, c)) < kTolerance;
  return right;
}

bool inverts(const Functions& functions, int n) {
  const Block<double> lower = triangle(n);
  Block<double> inverse = lower;
  int info = -1;
  functions.dtrtri("U", "N", &n, inverse.values.data(), &inverse.stride, &info, 1, 1);
  bool right = info == 0;
  for (int r = 0; r < n; ++r)
    for (int c = 0; c <= r; ++c) {
      double sum = 0.0;
      for (int i = c; i <= r; ++i) sum += lower.at(r, i) * inverse.at(i, c);
      right &= std::abs(sum - (r == c ? 1.0 : 0.0)) < kTolerance;
    }
  return right;
}

}  // namespace

std::string wrong_function(const Functions& functions) {
  if (!multiplies(functions)) return "sgemm";
  if (!multiplies_itself(functions, 61, 45) || !multiplies_itself(functions, 67, 190)) return "ssyrk";
  if (!factors(functions, 5) || !factors(functions, 90)) return "dpotrf";
  if (!inverts(functions, 5) || !inverts(functions, 90)) return "dtrtri";
  return {};
}

}  // namespace quernel::blas
