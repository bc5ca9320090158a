#include <gtest/gtest.h>

#include "transform/naive.h"
#include "transform/pairs.h"
#include "transform/probe.h"
#include "transform/rows.h"

namespace quernel::transform {
namespace {

using model::Linear;
using model::Site;

// The paper's search with the tokens themselves. Exact channels of the producer (no sharing).
std::vector<float> naive_scales(const std::vector<const Matrix*>& weights, const Matrix& x, bool duo, std::size_t group,
                                int bits, double& error) {
  const auto cols = static_cast<std::size_t>(x.cols());
  std::vector<double> activity(cols, 0.0);
  std::vector<double> sizes(cols, 0.0);
  double rows = 0;
  for (std::int64_t t = 0; t < x.rows(); ++t)
    for (std::size_t k = 0; k < cols; ++k) activity[k] += std::abs(double{x.row(t)[k]}) / static_cast<double>(x.rows());
  for (const Matrix* weight : weights) rows += static_cast<double>(weight->rows());
  for (const Matrix* weight : weights)
    for (std::int64_t r = 0; r < weight->rows(); ++r)
      for (std::size_t k = 0; k < cols; ++k) {
        double largest = 0;
        for (std::size_t i = k / group * group; i < std::min(cols, k / group * group + group); ++i)
          largest = std::max(largest, std::abs(double{weight->row(r)[i]}));
        sizes[k] += std::abs(double{weight->row(r)[k]}) / largest / rows;
      }
  std::vector<float> best(cols, 1.0F);
  error = naive_error(weights, best, x, group, bits);
  for (int i = 0; i < 20; ++i) {
    const double r = i / 20.0;
    std::vector<double> s(cols);
    for (std::size_t k = 0; k < cols; ++k)
      s[k] = std::max(std::pow(activity[k], r) / (duo ? std::pow(sizes[k], 1 - r) + 1e-4 : 1.0), 1e-4);
    const double middle = std::sqrt(*std::max_element(s.begin(), s.end()) * *std::min_element(s.begin(), s.end()));
    std::vector<float> factors;
    for (const double value : s) factors.push_back(static_cast<float>(value / middle));
    const double found = naive_error(weights, factors, x, group, bits);
    if (found >= error) continue;
    error = found;
    best = factors;
  }
  return best;
}

class AwqScales : public ::testing::Test {
 protected:
  SiteScales find(Site site, const quant::LayerStats& stats) {
    const SiteInput input{config_, site, weights_, stats, grid_, spec_, false, pool_};
    return find_awq_scales(input).value();
  }
  model::ModelConfig config_ = small_config();
  runtime::LayerWeights weights_ = small_layer(config_);
  quant::GridSpec grid_ = small_grid();
  TransformSpec spec_;
  sys::ThreadPool pool_{2};
};

TEST_F(AwqScales, AreThoseOfThePapersSearch) {
  for (const bool duo : {true, false}) {
    spec_.awq_duo = duo;
    const Matrix x = spiky_inputs(60, config_.hidden_size, 3);
    const SiteScales found = find(Site::mlp_in, stats_of(x));
    const Matrix gate = runtime::widen(weights_.linear(Linear::gate));
    const Matrix up = runtime::widen(weights_.linear(Linear::up));
    double error = 0;
    const std::vector<float> expected = naive_scales({&gate, &up}, x, duo, 16, 4, error);
    ASSERT_EQ(found.factors.size(), expected.size());
    for (std::size_t k = 0; k < expected.size(); ++k)
      EXPECT_NEAR(found.factors[k], expected[k], 1e-4 * expected[k]) << k;
    const std::vector<float> ones(expected.size(), 1.0F);
    EXPECT_NEAR(found.error_ratio, error / naive_error({&gate, &up}, ones, x, 16, 4), 1e-3);
    EXPECT_LT(found.error_ratio, 0.9);  // a few large channels are what AWQ is for
  }
}

TEST_F(AwqScales, TraceIsTheErrorOfTheOutputs) {
  const Matrix x = spiky_inputs(40, config_.intermediate_size, 5);
  std::vector<Matrix> weights;
  weights.push_back(runtime::widen(weights_.linear(Linear::down)));
  std::vector<float> factors;
  for (std::int64_t k = 0; k < config_.intermediate_size; ++k)
    factors.push_back(0.5F + 0.1F * static_cast<float>(k % 9));
  const double trace = weight_error(weights, factors, stats_of(x).hessian, grid_, pool_);
  const double outputs = naive_error({&weights.front()}, factors, x, 16, 4);
  EXPECT_NEAR(trace, outputs, 1e-3 * outputs);
}

TEST_F(AwqScales, OfOAreOneForAllHeadsThatShareAValue) {
  const SiteScales found = find(Site::attention_out, stats_of(spiky_inputs(60, config_.q_size(), 9)));
  EXPECT_EQ(found.factors.size(), static_cast<std::size_t>(config_.kv_size()));
}

TEST_F(AwqScales, LeaveNormalisedQueriesAlone) {
  config_.qk_norm_per_head = true;
  EXPECT_TRUE(find(Site::attention_in, stats_of(spiky_inputs(20, config_.hidden_size, 1))).factors.empty());
  EXPECT_FALSE(find(Site::mlp_in, stats_of(spiky_inputs(20, config_.hidden_size, 1))).factors.empty());
}

TEST_F(AwqScales, AreNeverWorseThanNone) {
  // Inputs without structure, and one bit of luck either way.
  const SiteScales found = find(Site::mlp_out, stats_of(normal_matrix(80, config_.intermediate_size, 8)));
  EXPECT_LE(found.error_ratio, 1.0);
}

TEST_F(AwqScales, SurviveDegenerateInput) {
  Matrix dead = spiky_inputs(30, config_.hidden_size, 2);
  for (std::int64_t t = 0; t < dead.rows(); ++t) dead(t, 3) = 0.0F;
  Matrix zero(30, config_.hidden_size);
  Matrix constant(30, config_.hidden_size);
  constant.fill(1.0F);
  for (const Matrix* x : {&dead, &zero, &constant}) {
    const SiteScales found = find(Site::attention_in, stats_of(*x));
    for (const float factor : found.factors) {
      EXPECT_TRUE(std::isfinite(factor));
      EXPECT_GT(factor, 0.0F);
    }
  }
  for (const float size : {1e38F, 1e-38F, 0.0F}) {
    Matrix weight = normal_matrix(config_.hidden_size, config_.intermediate_size, 4);
    for (std::int64_t i = 0; i < weight.size(); ++i) weight.data()[i] *= size / 4.0F;
    weights_.linears[static_cast<std::size_t>(Linear::down)] = runtime::own_weight(std::move(weight));
    const SiteScales found = find(Site::mlp_out, stats_of(spiky_inputs(30, config_.intermediate_size, 2)));
    for (const float factor : found.factors) EXPECT_TRUE(std::isfinite(factor) && factor > 0.0F) << size;
  }
}

TEST_F(AwqScales, DoNotDependOnThreads) {
  const quant::LayerStats stats = stats_of(spiky_inputs(50, config_.intermediate_size, 6));
  const SiteScales two = find(Site::mlp_out, stats);
  sys::ThreadPool one(1);
  const SiteInput input{config_, Site::mlp_out, weights_, stats, grid_, spec_, false, one};
  EXPECT_EQ(find_awq_scales(input).value().factors, two.factors);
}

}  // namespace
}  // namespace quernel::transform
