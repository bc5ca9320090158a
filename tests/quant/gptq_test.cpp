#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "quant/method.h"
#include "quant/prepared_hessian.h"
#include "quant/samples.h"

namespace quernel::quant {
namespace {

using ::testing::HasSubstr;

TEST(Gptq, LosesLessThanRounding) {
  int better = 0;
  const int trials = 200;
  for (int trial = 0; trial < trials; ++trial) {
    const auto seed = static_cast<std::uint64_t>(trial) * 10;
    const std::int64_t cols = 32 + 16 * (trial % 5);
    const Matrix weight = test::normal_matrix(8, cols, seed);
    const LayerStats stats = test::correlated_stats(cols, 3 * cols, seed + 1);
    const std::string bits = std::to_string(2 + trial % 3);
    const std::string options = "group-size=32 bits=" + bits;
    const double rtn = test::quantize("rtn", weight, &stats, options).value().relative_loss;
    const double gptq = test::quantize("gptq", weight, &stats, options).value().relative_loss;
    better += gptq <= rtn ? 1 : 0;
  }
  EXPECT_GE(better, trials * 99 / 100);
}

TEST(Gptq, LosesLessWithMoreBits) {
  const Matrix weight = test::normal_matrix(30, 128, 1);
  const LayerStats stats = test::correlated_stats(128, 300, 2);
  double last = 1.0;
  for (const char* bits : {"2", "3", "4", "8"}) {
    const double loss =
        test::quantize("gptq", weight, &stats, std::string("group-size=64 bits=") + bits).value().relative_loss;
    EXPECT_LT(loss, 0.5 * last);
    last = loss;
  }
}

TEST(Gptq, DoesNotDependOnThreads) {
  const Matrix weight = test::normal_matrix(203, 160, 3);
  const LayerStats stats = test::correlated_stats(160, 300, 4);
  for (const char* options : {"group-size=64", "group-size=48 static-groups=false", "group-size=-1 order=natural"}) {
    const auto expected = test::quantize("gptq", weight, &stats, options).value();
    for (const int threads : {1, 2, 4}) {
      sys::ThreadPool pool(threads);
      const auto found = test::quantize("gptq", weight, &stats, options, &pool).value();
      EXPECT_EQ(found.matrix.codes, expected.matrix.codes) << options << threads;
      EXPECT_EQ(found.matrix.scales, expected.matrix.scales);
      EXPECT_EQ(found.matrix.zero_points, expected.matrix.zero_points);
      EXPECT_EQ(found.relative_loss, expected.relative_loss);
    }
  }
}

TEST(Gptq, APreparedHessianChangesNothing) {
  const Matrix weight = test::normal_matrix(20, 96, 5);
  const LayerStats stats = test::correlated_stats(96, 200, 6);
  MethodInput input;
  input.weight = weight;
  input.stats = &stats;
  const auto own = find_method("gptq").value()->run(input).value();
  const PreparedHessian prepared = prepare_hessian(stats, input.grid, input.solver).value();
  input.prepared = &prepared;
  const auto shared = find_method("gptq").value()->run(input).value();
  EXPECT_EQ(shared.matrix.codes, own.matrix.codes);
  EXPECT_EQ(shared.damp, SolverSpec{}.damp);
}

TEST(Gptq, DefaultLayoutIsTheOrdinaryOne) {
  const Matrix weight = test::normal_matrix(4, 200, 7);
  const LayerStats stats = test::correlated_stats(200, 300, 8);
  EXPECT_TRUE(test::quantize("gptq", weight, &stats, "").value().matrix.has_contiguous_groups());
  EXPECT_TRUE(test::quantize("gptq", weight, &stats, "static-groups=false order=group-aware")
                  .value()
                  .matrix.has_contiguous_groups());
  EXPECT_FALSE(test::quantize("gptq", weight, &stats, "static-groups=false").value().matrix.has_contiguous_groups());
}

TEST(Gptq, DeadColumnsKeepTheirRoundedWeight) {
  const Matrix weight = test::normal_matrix(10, 64, 9);
  LayerStats stats = test::correlated_stats(64, 200, 10);
  const std::vector<std::int64_t> dead = {0, 13, 63};
  for (const std::int64_t column : dead) {
    for (std::int64_t k = 0; k < 64; ++k) stats.hessian(column, k) = stats.hessian(k, column) = 0.0F;
  }
  const auto gptq = test::quantize("gptq", weight, &stats, "group-size=32 search=mse refine-rounds=0").value();
  const auto rtn = test::quantize("rtn", weight, &stats, "group-size=32 search=mse").value();
  EXPECT_EQ(gptq.dead_columns, 3);
  EXPECT_FALSE(gptq.fallback.has_value());
  const Matrix values = codec::dequantize(gptq.matrix);
  const Matrix rounded = codec::dequantize(rtn.matrix);
  double size = 0.0;
  for (const std::int64_t column : dead) {
    for (std::int64_t row = 0; row < 10; ++row) {
      EXPECT_EQ(values(row, column), rounded(row, column));
      size += std::abs(values(row, column));
    }
  }
  EXPECT_GT(size, 1.0);  // an input that wakes up at run time still finds its weights
}

TEST(Gptq, NeedsStatistics) {
  const Matrix weight = test::normal_matrix(4, 32, 11);
  EXPECT_THAT(to_string(test::quantize("gptq", weight, nullptr, "").error()), HasSubstr("calibration"));
}

TEST(Gptq, FallsBackToRoundingAndSaysWhy) {
  const Matrix weight = test::normal_matrix(6, 48, 12);
  const LayerStats sound = test::correlated_stats(48, 100, 13);
  const auto fallback_of = [&](const LayerStats& stats) {
    const auto outcome = test::quantize("gptq", weight, &stats, "search=minmax").value();
    EXPECT_EQ(outcome.matrix.codes, test::quantize("rtn", weight, nullptr, "search=minmax").value().matrix.codes);
    EXPECT_EQ(outcome.damp, 0.0);
    return outcome.fallback.value_or("none");
  };
  LayerStats stats{sound.hessian.clone(), 100};
  stats.hessian(3, 3) = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(fallback_of(stats), HasSubstr("not finite"));
  EXPECT_THAT(fallback_of({Matrix(48, 48), 0}), HasSubstr("no calibration token"));
  LayerStats indefinite{sound.hessian.clone(), 100};
  for (std::int64_t k = 1; k < 48; ++k) indefinite.hessian(k, 0) = indefinite.hessian(0, k) = 1e8F;
  EXPECT_THAT(fallback_of(indefinite), HasSubstr("positive definite"));
}

// Twelve matrices and eight Hessians that have broken quantizers: whatever comes out is finite and sound, or refused.
struct Pathology {
  const char* name;
  std::function<void(Matrix&)> spoil;
};

void fill_with(Matrix& matrix, const std::function<float(std::int64_t, std::int64_t)>& value) {
  for (std::int64_t row = 0; row < matrix.rows(); ++row) {
    for (std::int64_t col = 0; col < matrix.cols(); ++col) matrix(row, col) = value(row, col);
  }
}

std::vector<Pathology> bad_weights() {
  const float most = std::numeric_limits<float>::max();
  return {
      {"ordinary", [](Matrix&) {}},
      {"zeros", [](Matrix& w) { w.fill(0.0F); }},
      {"constant", [](Matrix& w) { w.fill(0.3F); }},
      {"one hot", [](Matrix& w) { w.fill(0.0F), w(2, 7) = 1.0F; }},
      {"rank 1",
       [](Matrix& w) { fill_with(w, [](auto r, auto c) { return 0.1F * float(r + 1) * float(c % 7 - 3); }); }},
      {"huge", [](Matrix& w) { fill_with(w, [](auto r, auto c) { return (r + c) % 2 == 0 ? 1e38F : -1e38F; }); }},
      {"largest", [=](Matrix& w) { fill_with(w, [=](auto r, auto c) { return (r + c) % 2 == 0 ? most : -most; }); }},
      {"tiny", [](Matrix& w) { fill_with(w, [](auto r, auto c) { return 1e-38F * float((r * 3 + c) % 5 - 2); }); }},
      {"subnormal", [](Matrix& w) { fill_with(w, [](auto r, auto c) { return 1e-44F * float((r + c) % 3); }); }},
      {"one outlier", [](Matrix& w) { w(0, 0) = 3e4F; }},
      {"huge outlier", [](Matrix& w) { w(1, 5) = -1e38F; }},
      {"positive", [](Matrix& w) { fill_with(w, [](auto r, auto c) { return 1.0F + 0.01F * float(r * 5 + c); }); }},
  };
}

std::vector<Pathology> bad_hessians() {
  return {
      {"ordinary", [](Matrix&) {}},
      {"zeros", [](Matrix& h) { h.fill(0.0F); }},
      {"ones", [](Matrix& h) { h.fill(1.0F); }},
      {"dead columns",
       [](Matrix& h) {
         for (std::int64_t k = 0; k < h.cols(); k += 2) {
           for (std::int64_t j = 0; j < h.cols(); ++j) h(k, j) = h(j, k) = 0.0F;
         }
       }},
      {"one live column", [](Matrix& h) { h.fill(0.0F), h(4, 4) = 1.0F; }},
      {"huge", [](Matrix& h) { fill_with(h, [&](auto r, auto c) { return r == c ? 1e38F : 1e36F; }); }},
      {"tiny", [](Matrix& h) { fill_with(h, [&](auto r, auto c) { return r == c ? 1e-38F : 0.0F; }); }},
      {"wide range",
       [](Matrix& h) {
         fill_with(h, [&](auto r, auto c) { return r == c ? std::pow(10.0F, float(r % 60) - 30) : 0.0F; });
       }},
  };
}

TEST(Gptq, NeverWritesWhatIsNotFinite) {
  int refused = 0;
  for (const std::int64_t cols : {5, 80}) {  // fewer columns than a group; several groups with a tail
    for (const Pathology& bad_weight : bad_weights()) {
      for (const Pathology& bad_hessian : bad_hessians()) {
        for (const char* options :
             {"group-size=32", "group-size=32 static-groups=false search=minmax symmetry=sym",
              "group-size=32 scale-dtype=bf16", "group-size=32 bits=2 symmetry=full-range scale-dtype=f32",
              "group-size=-1 bits=8 order=group-aware static-groups=false scale-dtype=f32"}) {
          SCOPED_TRACE(std::string(bad_weight.name) + " / " + bad_hessian.name + " / " + options);
          Matrix weight = test::normal_matrix(6, cols, 14);
          bad_weight.spoil(weight);
          LayerStats stats = test::correlated_stats(cols, 2 * cols, 15);
          bad_hessian.spoil(stats.hessian);
          for (const char* method : {"rtn", "gptq"}) {
            const auto outcome = test::quantize(method, weight, &stats, options);
            if (!outcome.ok()) {
              ++refused;
              EXPECT_EQ(outcome.error().fault, Fault::limit_exceeded) << to_string(outcome.error());
              EXPECT_THAT(options, ::testing::Not(HasSubstr("scale-dtype")));
              continue;
            }
            const Status sound = codec::validate(outcome->matrix);
            ASSERT_TRUE(sound.ok()) << to_string(sound.error());
            const Matrix values = codec::dequantize(outcome->matrix);
            for (std::int64_t i = 0; i < values.size(); ++i) ASSERT_TRUE(std::isfinite(values.data()[i]));
            EXPECT_TRUE(std::isfinite(outcome->relative_loss));
            EXPECT_TRUE(std::isfinite(outcome->relative_error));
          }
        }
      }
    }
  }
  EXPECT_GT(refused, 0);  // F16 cannot hold the scales of the huge ones
}

TEST(Gptq, DuplicateColumnsShareTheirError) {
  double with_feedback = 0.0;
  double without = 0.0;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    Matrix inputs = test::normal_matrix(200, 40, 1000 + seed);
    for (std::int64_t t = 0; t < 200; ++t) {
      for (std::int64_t k = 20; k < 40; ++k) inputs(t, k) = inputs(t, k - 20);
    }
    const LayerStats stats = test::stats_of(inputs);
    const Matrix weight = test::normal_matrix(8, 40, 2000 + seed);
    const auto outcome = test::quantize("gptq", weight, &stats, "group-size=20").value();
    EXPECT_FALSE(outcome.fallback.has_value());
    with_feedback += outcome.relative_loss;
    without += test::quantize("rtn", weight, &stats, "group-size=20").value().relative_loss;
  }
  // The second of a pair takes up the error of the first: one rounding error remains of two.
  EXPECT_LT(with_feedback, 0.7 * without);
}

}  // namespace
}  // namespace quernel::quant
