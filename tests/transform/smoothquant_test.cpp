#include <gtest/gtest.h>

#include "transform/naive.h"
#include "transform/probe.h"
#include "transform/rows.h"

namespace quernel::transform {
namespace {

using model::Linear;
using model::Site;

class SmoothQuant : public ::testing::Test {
 protected:
  SiteScales find(Site site, const quant::LayerStats& stats) {
    const SiteInput input{config_, site, weights_, stats, grid_, spec_, rotated_, pool_};
    return find_smoothquant_scales(input).value();
  }
  model::ModelConfig config_ = small_config();
  runtime::LayerWeights weights_ = small_layer(config_);
  quant::GridSpec grid_ = small_grid(8, -1);
  TransformSpec spec_;
  bool rotated_ = false;
  sys::ThreadPool pool_{2};
};

TEST_F(SmoothQuant, FactorsByThePapersEquation) {
  for (const double alpha : {0.5, 0.8}) {
    spec_.smooth_alpha = alpha;
    const quant::LayerStats stats = stats_of(spiky_inputs(40, config_.hidden_size, 1));
    const SiteScales found = find(Site::attention_in, stats);
    ASSERT_EQ(found.factors.size(), 28U);
    for (std::size_t j = 0; j < 28; ++j) {
      double largest = 0;
      for (const Linear which : {Linear::q, Linear::k, Linear::v})
        for (std::int64_t r = 0; r < weights_.linear(which).rows; ++r)
          largest = std::max(largest, std::abs(double{weights_.linear(which).f32.row(r)[j]}));
      const double expected = std::pow(double{stats.max_abs[j]}, alpha) / std::pow(largest, 1 - alpha);
      EXPECT_NEAR(found.factors[j], expected, 1e-5 * expected);
    }
  }
}

TEST_F(SmoothQuant, SearchLowersTheErrorOfRoundedInputs) {
  spec_.smooth_search = true;
  const quant::LayerStats stats = stats_of(spiky_inputs(40, config_.hidden_size, 1));
  const SiteScales found = find(Site::mlp_in, stats);
  ASSERT_FALSE(found.factors.empty());
  EXPECT_LT(found.error_ratio, 0.5);
  const std::vector<Matrix> weights =
      consumer_weights({config_, Site::mlp_in, weights_, stats, grid_, spec_, false, pool_});
  const double with = output_error(weights, found.factors, stats.sample, grid_, 8, pool_);
  const double without = output_error(weights, {}, stats.sample, grid_, 8, pool_);
  EXPECT_NEAR(with / without, found.error_ratio, 1e-9);
}

TEST_F(SmoothQuant, RoundedActivationsBySight) {
  Matrix x(2, 3);
  x(0, 0) = 127.0F;
  x(0, 1) = 0.6F;
  x(0, 2) = -1.4F;
  round_activations(8, x);  // the second row is all zero
  EXPECT_EQ(x(0, 0), 127.0F);
  EXPECT_EQ(x(0, 1), 1.0F);
  EXPECT_EQ(x(0, 2), -1.0F);
  EXPECT_EQ(x(1, 1), 0.0F);
}

TEST_F(SmoothQuant, WhichSites) {
  const quant::LayerStats hidden = stats_of(spiky_inputs(10, config_.hidden_size, 1));
  const quant::LayerStats inner = stats_of(spiky_inputs(10, config_.intermediate_size, 1));
  EXPECT_FALSE(find(Site::attention_in, hidden).factors.empty());
  EXPECT_FALSE(find(Site::mlp_out, inner).factors.empty());
  EXPECT_TRUE(find(Site::attention_out, stats_of(spiky_inputs(10, config_.q_size(), 1))).factors.empty());
  rotated_ = true;  // a rotation takes norm gains back into the weights
  EXPECT_TRUE(find(Site::attention_in, hidden).factors.empty());
  EXPECT_FALSE(find(Site::mlp_out, inner).factors.empty());
  spec_.smooth_down = false;
  EXPECT_TRUE(find(Site::mlp_out, inner).factors.empty());
}

TEST_F(SmoothQuant, DeadChannelsKeepTheFactorOne) {
  Matrix x = spiky_inputs(20, config_.hidden_size, 2);
  for (std::int64_t t = 0; t < x.rows(); ++t) x(t, 4) = 0.0F;
  EXPECT_EQ(find(Site::mlp_in, stats_of(x)).factors[4], 1.0F);
}

TEST_F(SmoothQuant, NothingToScaleIsRefused) {
  config_.norm_before = false;
  EXPECT_TRUE(check_smoothquant(config_, spec_).ok());
  spec_.smooth_down = false;
  EXPECT_FALSE(check_smoothquant(config_, spec_).ok());
}

}  // namespace
}  // namespace quernel::transform
