#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "quant/method.h"
#include "quant/samples.h"

namespace quernel::quant {
namespace {

using ::testing::HasSubstr;

TEST(Qoq, LosesLittleMoreThanGptqAndLessThanRounding) {
  double qoq = 0.0;
  double gptq = 0.0;
  double rtn = 0.0;
  for (int trial = 0; trial < 12; ++trial) {
    const auto seed = static_cast<std::uint64_t>(trial) * 10;
    const Matrix weight = test::normal_matrix(16, 128, seed);
    const LayerStats stats = test::correlated_stats(128, 400, seed + 1);
    const auto outcome = test::quantize("qoq", weight, &stats, "group-size=32");
    ASSERT_TRUE(outcome.ok()) << to_string(outcome.error());
    EXPECT_FALSE(outcome->fallback.has_value());
    EXPECT_TRUE(codec::validate(outcome->matrix).ok());
    qoq += outcome->relative_loss;
    gptq += test::quantize("gptq", weight, &stats, "group-size=32").value().relative_loss;
    rtn += test::quantize("rtn", weight, &stats, "group-size=32").value().relative_loss;
  }
  EXPECT_LT(qoq, 1.25 * gptq);
  EXPECT_LT(qoq, 0.8 * rtn);
}

TEST(Qoq, EveryGroupSizeOrderAndThreadCount) {
  const Matrix weight = test::normal_matrix(70, 160, 5);
  const LayerStats stats = test::correlated_stats(160, 300, 6);
  sys::ThreadPool pool(3);
  for (const char* size : {"-1", "128", "64", "32"}) {
    for (const char* rest : {"", " order=natural static-groups=false", " order=group-aware static-groups=false",
                             " search=minmax", " symmetry=sym", " scale-dtype=bf16"}) {
      const std::string options = std::string("group-size=") + size + rest;
      const auto one = test::quantize("qoq", weight, &stats, options);
      ASSERT_TRUE(one.ok()) << options << to_string(one.error());
      ASSERT_TRUE(codec::validate(one->matrix).ok()) << options;
      EXPECT_TRUE(one->matrix.has_contiguous_groups());
      EXPECT_LT(one->relative_loss, 0.02) << options;
      const auto many = test::quantize("qoq", weight, &stats, options, &pool);
      EXPECT_EQ(one->matrix.codes, many->matrix.codes) << options;
      EXPECT_EQ(one->matrix.levels->group_scales, many->matrix.levels->group_scales);
    }
  }
}

TEST(Qoq, DegenerateInputIsFiniteOrCounted) {
  LayerStats dead = test::lcg_stats(4, 64, 100, {0, 5, 63});
  Matrix weight = test::lcg_weight(9, 6, 64);
  const auto outcome = test::quantize("qoq", weight, &dead, "group-size=32").value();
  EXPECT_EQ(outcome.dead_columns, 3);
  EXPECT_TRUE(codec::validate(outcome.matrix).ok());

  LayerStats rank_one{Matrix(64, 64), 10};
  rank_one.hessian.fill(1.0F);
  EXPECT_TRUE(codec::validate(test::quantize("qoq", weight, &rank_one, "group-size=32").value().matrix).ok());

  LayerStats broken{Matrix(64, 64), 10};
  broken.hessian.fill(std::nanf(""));
  const auto fallen = test::quantize("qoq", weight, &broken, "group-size=32").value();
  EXPECT_TRUE(fallen.fallback.has_value());
  EXPECT_TRUE(fallen.matrix.levels.has_value());

  weight.fill(0.0F);
  EXPECT_TRUE(codec::validate(test::quantize("qoq", weight, &dead, "group-size=32").value().matrix).ok());
  const Matrix narrow = test::lcg_weight(3, 4, 20);  // K smaller than a group
  const LayerStats few = test::lcg_stats(5, 20, 60, {});
  EXPECT_TRUE(codec::validate(test::quantize("qoq", narrow, &few, "group-size=32").value().matrix).ok());
}

TEST(Qoq, RefusesWhatItsGridIsNot) {
  const Matrix weight = test::lcg_weight(9, 6, 64);
  const LayerStats stats = test::lcg_stats(4, 64, 100, {});
  const auto refusal = [&](const LayerStats* given, const std::string& options) {
    const auto outcome = test::quantize("qoq", weight, given, options);
    return outcome.ok() ? std::string("done") : to_string(outcome.error());
  };
  EXPECT_THAT(refusal(&stats, "bits=3"), HasSubstr("bits"));
  EXPECT_THAT(refusal(&stats, "scale-dtype=f32"), HasSubstr("f16 or bf16"));
  EXPECT_THAT(refusal(&stats, "order=act-order static-groups=false"), HasSubstr("static-groups"));
  EXPECT_THAT(refusal(nullptr, ""), HasSubstr("statistics"));
}

}  // namespace
}  // namespace quernel::quant
