#include "quant/super_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "quant/samples.h"

namespace quernel::quant {
namespace {

using ::testing::IsEmpty;

constexpr std::int64_t kRows = 40;
constexpr std::int64_t kCols = 128;
constexpr std::int32_t kRow = 17;
constexpr std::int32_t kCol = 70;

// A weight 1000 times the others, which reads a channel that is large at some tokens.
struct Sample {
  Matrix weight = test::normal_matrix(kRows, kCols, 11);
  Matrix inputs = test::normal_matrix(400, kCols, 12);
  LayerStats stats;

  explicit Sample(float size = 1000.0F, float peak = 50.0F) {
    weight(kRow, kCol) = size;
    for (std::int64_t t = 0; t < inputs.rows(); t += 50) inputs(t, kCol) = peak;
    stats = test::stats_of(inputs);
    stats.probe = std::move(inputs);
  }
  [[nodiscard]] std::vector<codec::Outlier> found(int threads = 1) const {
    sys::ThreadPool pool(threads);
    return find_super_weights(weight, stats, pool);
  }
};

TEST(SuperWeights, FindsTheOne) {
  const std::vector<codec::Outlier> expected = {{kRow, kCol, 1000.0F}};
  EXPECT_EQ(Sample().found(), expected);
  EXPECT_EQ(Sample().found(3), expected);
  Sample negative(-1000.0F, -50.0F);
  EXPECT_EQ(negative.found().at(0).value, -1000.0F);
}

TEST(SuperWeights, EveryPartOfTheRuleCounts) {
  EXPECT_THAT(Sample(10.0F).found(), IsEmpty());  // not 15 rms
  EXPECT_THAT(Sample(1.0F).found(), IsEmpty());   // nor its output alone
  Sample two;                                     // another channel comes near
  two.weight(3, kCol) = 250.0F;
  EXPECT_THAT(two.found(), IsEmpty());
  two.weight(3, kCol) = 150.0F;
  EXPECT_EQ(two.found().size(), 1U);
  Sample elsewhere;  // the output's peak comes of another input than the largest
  elsewhere.weight(kRow, 5) = 1000.0F;
  for (std::int64_t t = 0; t < 400; t += 50) elsewhere.stats.probe(t, 5) = 60.0F;
  EXPECT_EQ(elsewhere.found().at(0).col, 5);
  elsewhere.weight(kRow, 5) = 1.0F;
  EXPECT_THAT(elsewhere.found(), IsEmpty());
  Sample unseen;
  unseen.stats.probe = Matrix();
  EXPECT_THAT(unseen.found(), IsEmpty());
  Sample silent;
  silent.stats.probe.fill(0.0F);
  EXPECT_THAT(silent.found(), IsEmpty());
}

double worst_error(const Sample& sample, const codec::IntegerMatrix& matrix) {
  const Matrix values = codec::dequantize(matrix);
  double worst = 0.0;
  for (std::int64_t k = 0; k < kCols; ++k)
    worst = std::max(worst, std::abs(double{sample.weight(kRow, k)} - values(kRow, k)));
  return worst;
}

// What it is for: beside the list the row is rounded as if the weight were not there.
TEST(SuperWeights, RowsKeepTheirSteps) {
  const Sample sample;
  sys::ThreadPool pool(3);
  for (const char* size : {"group-size=32", "group-size=64", "group-size=-1"}) {
    for (const char* rest : {"", " order=natural static-groups=false", " order=natural", " refine-rounds=0",
                             " search=minmax", " symmetry=sym"}) {
      const std::string options = std::string(size) + rest;
      const auto off = test::quantize("qoq", sample.weight, &sample.stats, options);
      const auto on = test::quantize("qoq", sample.weight, &sample.stats, options + " super-weights=auto");
      ASSERT_TRUE(off.ok() && on.ok()) << options;
      EXPECT_THAT(off->matrix.outliers, IsEmpty());
      ASSERT_EQ(on->matrix.outliers.size(), 1U) << options;
      ASSERT_TRUE(codec::validate(on->matrix).ok()) << options << to_string(codec::validate(on->matrix).error());
      EXPECT_NEAR(on->matrix.outliers[0].value, 1000.0F, 1.0F) << options;
      EXPECT_LT(worst_error(sample, on->matrix), 2.0) << options;
      EXPECT_GT(worst_error(sample, off->matrix), 2.0) << options;
      EXPECT_LT(on->relative_loss, 0.3 * off->relative_loss) << options;  // what is left is that of the other rows
      const auto many = test::quantize("qoq", sample.weight, &sample.stats, options + " super-weights=auto", &pool);
      EXPECT_EQ(many->matrix.codes, on->matrix.codes) << options;
      EXPECT_EQ(many->matrix.outliers, on->matrix.outliers) << options;
    }
  }
}

TEST(SuperWeights, WithoutCompensationBeforeItTheValueIsTheWeight) {
  const Sample sample;  // its column comes first: the largest input
  const auto on = test::quantize("qoq", sample.weight, &sample.stats,
                                 "group-size=32 target=weight refine-rounds=0 super-weights=auto");
  EXPECT_EQ(on->matrix.outliers.at(0), (codec::Outlier{kRow, kCol, 1000.0F}));
  Sample other;
  LayerStats& broken = other.stats;
  broken.hessian.fill(std::nanf(""));
  const auto fallen = test::quantize("qoq", sample.weight, &broken, "group-size=32 super-weights=auto");
  ASSERT_TRUE(fallen.ok() && fallen->fallback.has_value());
  EXPECT_EQ(fallen->matrix.outliers.at(0).value, 1000.0F);
}

TEST(SuperWeights, NothingFoundIsTheSameAsNotAsked) {
  const Sample sample(1.0F);
  const auto off = test::quantize("qoq", sample.weight, &sample.stats, "group-size=32");
  const auto on = test::quantize("qoq", sample.weight, &sample.stats, "group-size=32 super-weights=auto");
  EXPECT_EQ(on->matrix.codes, off->matrix.codes);
  EXPECT_THAT(on->matrix.outliers, IsEmpty());
}

}  // namespace
}  // namespace quernel::quant
