#include "runtime/linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <tuple>
#include <vector>

#include "base/rng.h"
#include "runtime/model_fixture.h"
#include "tensor/half.h"

namespace quernel::runtime {
namespace {

Matrix random_matrix(std::int64_t rows, std::int64_t cols, const char* name) {
  CounterRng rng(1, name);
  Matrix matrix(rows, cols);
  for (float& value : std::span(matrix.data(), static_cast<std::size_t>(matrix.size()))) {
    value = static_cast<float>(rng.normal());
  }
  return matrix;
}

// A weight and what it is, exactly.
struct TestWeight {
  TestWeight(std::int64_t rows, std::int64_t cols, bool narrow, bool bias)
      : values(random_matrix(rows, cols, "weight")) {
    linear.rows = rows;
    linear.cols = cols;
    if (narrow) {
      bits.resize(static_cast<std::size_t>(values.size()));
      float_to_bf16({values.data(), bits.size()}, bits);
      bf16_to_float(bits, {values.data(), bits.size()});
      linear.bf16 = {bits.data(), rows, cols};
    } else {
      linear.f32 = values.view();
    }
    CounterRng rng(1, "bias");
    for (std::int64_t i = 0; bias && i < rows; ++i) linear.bias.push_back(static_cast<float>(rng.normal()));
  }
  Matrix values;
  std::vector<std::uint16_t> bits;
  LinearWeight linear;
};

// Rows, columns, bf16 storage, bias: fewer and more rows than a task or a panel holds.
class Linears : public testing::TestWithParam<std::tuple<std::int64_t, std::int64_t, bool, bool>> {};

TEST_P(Linears, MatchTheDefinition) {
  const auto [rows, cols, narrow, bias] = GetParam();
  const TestWeight weight(rows, cols, narrow, bias);
  sys::ThreadPool pool(2);
  for (const std::int64_t tokens : {0, 1, 3, 8, 9, 40}) {
    const Matrix x = random_matrix(tokens, cols, "x");
    Matrix out(tokens, rows);
    apply_linear(weight.linear, x, out, Precision::f32, pool);
    for (std::int64_t t = 0; t < tokens; ++t) {
      for (std::int64_t r = 0; r < rows; ++r) {
        double sum = bias ? static_cast<double>(weight.linear.bias[static_cast<std::size_t>(r)]) : 0.0;
        double size = std::abs(sum);
        for (std::int64_t c = 0; c < cols; ++c) {
          const double product = static_cast<double>(weight.values(r, c)) * static_cast<double>(x(t, c));
          sum += product;
          size += std::abs(product);
        }
        ASSERT_NEAR(static_cast<double>(out(t, r)), sum, static_cast<double>(cols + 2) * 0x1p-24 * size)
            << t << " " << r;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Linear, Linears,
                         testing::Combine(testing::Values(1, 37, 700), testing::Values(1, 63, 500), testing::Bool(),
                                          testing::Bool()));

TEST(Linear, PanelsOfNarrowWeightsJoin) {
  const TestWeight weight(3000, 1100, true, true);  // two panels of at most 2^21 values
  const TestWeight wide(3000, 1100, false, true);
  LinearWeight widened = wide.linear;
  widened.f32 = weight.values.view();
  sys::ThreadPool pool(2);
  const Matrix x = random_matrix(12, 1100, "x");
  Matrix narrow_out(12, 3000);
  Matrix wide_out(12, 3000);
  apply_linear(weight.linear, x, narrow_out, Precision::f32, pool);
  apply_linear(widened, x, wide_out, Precision::f32, pool);
  for (std::int64_t i = 0; i < wide_out.size(); ++i) ASSERT_NEAR(narrow_out.data()[i], wide_out.data()[i], 1e-3) << i;
}

TEST(Linear, ThreadsDoNotChangeABit) {
  const TestWeight weight(700, 200, false, true);
  const Matrix x = random_matrix(300, 200, "x");
  sys::ThreadPool one(1);
  for (const int threads : {2, 3, 4}) {
    sys::ThreadPool more(threads);
    for (const std::int64_t rows : {1, 8, 9, 300}) {
      for (const Precision precision : {Precision::f32, Precision::bf16}) {
        Matrix by_one(rows, 700);
        Matrix by_more(rows, 700);
        apply_linear(weight.linear, x.view().row_block(0, rows), by_one, precision, one);
        apply_linear(weight.linear, x.view().row_block(0, rows), by_more, precision, more);
        EXPECT_TRUE(same_bits(by_one, by_more)) << threads << " threads, " << rows << " rows";
      }
    }
  }
}

TEST(Linear, FewRowsDoNotDependOnEachOther) {
  const TestWeight weight(130, 200, false, true);
  const Matrix x = random_matrix(8, 200, "x");
  sys::ThreadPool pool(2);
  Matrix eight(8, 130);
  apply_linear(weight.linear, x, eight, Precision::f32, pool);
  for (const std::int64_t rows : {1, 2, 5, 7}) {
    Matrix part(rows, 130);
    apply_linear(weight.linear, x.view().row_block(8 - rows, rows), part, Precision::f32, pool);
    EXPECT_TRUE(same_bits(part, eight.view().row_block(8 - rows, rows))) << rows;
  }
}

TEST(Linear, SeveralAtOnceEqualOneByOne) {
  const TestWeight a(130, 64, false, true);
  const TestWeight b(50, 64, true, false);
  sys::ThreadPool pool(2);
  for (const std::int64_t tokens : {2, 20}) {
    const Matrix x = random_matrix(tokens, 64, "x");
    Matrix a_out(tokens, 130), b_out(tokens, 50), a_alone(tokens, 130), b_alone(tokens, 50);
    const std::vector<LinearCall> calls{{&a.linear, a_out}, {&b.linear, b_out}};
    apply_linears(calls, x, Precision::f32, pool);
    apply_linear(a.linear, x, a_alone, Precision::f32, pool);
    apply_linear(b.linear, x, b_alone, Precision::f32, pool);
    EXPECT_TRUE(same_bits(a_out, a_alone));
    EXPECT_TRUE(same_bits(b_out, b_alone));
  }
}

}  // namespace
}  // namespace quernel::runtime
