#include "transform/pairs.h"

#include <gtest/gtest.h>

#include "transform/naive.h"

namespace quernel::transform {
namespace {

using model::Linear;
using model::Site;

std::vector<float> factors_of(std::int64_t count) {
  std::vector<float> factors;
  for (std::int64_t i = 0; i < count; ++i) factors.push_back(0.25F * static_cast<float>(1 << (i % 5)));
  return factors;
}

TEST(Pairs, InputsOfOShareTheChannelsOfV) {
  const std::vector<std::int32_t> channels = producer_channels(small_config(), Site::attention_out);
  ASSERT_EQ(channels.size(), 32U);
  EXPECT_EQ(channels[3], 3);        // query head 0 reads key head 0
  EXPECT_EQ(channels[8 + 3], 3);    // so does head 1
  EXPECT_EQ(channels[16 + 3], 11);  // head 2 reads key head 1
  EXPECT_EQ(channels[24 + 3], 11);
  EXPECT_EQ(producer_width(small_config(), Site::attention_out), 16);
}

TEST(Pairs, NormsAreNoProducersWhereThereAreNone) {
  model::ModelConfig config = small_config();
  config.norm_before = false;
  EXPECT_FALSE(has_pair(config, Site::attention_in));
  EXPECT_FALSE(has_pair(config, Site::mlp_in));
  EXPECT_TRUE(has_pair(config, Site::attention_out));
  EXPECT_TRUE(has_pair(config, Site::mlp_out));
}

TEST(Pairs, NormIsDividedAndConsumersAreMultiplied) {
  const model::ModelConfig config = small_config();
  const runtime::LayerWeights before = small_layer(config);
  runtime::LayerWeights after = small_layer(config);
  const std::vector<float> factors = factors_of(config.hidden_size);
  move_scales(config, Site::attention_in, factors, after);
  for (std::size_t j = 0; j < factors.size(); ++j) EXPECT_EQ(after.attention_norm[j], 1.5F / factors[j]);
  for (const Linear which : {Linear::q, Linear::k, Linear::v})
    for (std::size_t j = 0; j < factors.size(); ++j)
      EXPECT_EQ(after.linear(which).f32.row(1)[j], before.linear(which).f32.row(1)[j] * factors[j]);
  for (const Linear which : {Linear::o, Linear::gate, Linear::up, Linear::down})
    EXPECT_EQ(after.linear(which).f32(0, 0), before.linear(which).f32(0, 0));
  EXPECT_EQ(after.mlp_norm, before.mlp_norm);
}

TEST(Pairs, RowsOfVAndItsBiasAreDivided) {
  const model::ModelConfig config = small_config();
  const runtime::LayerWeights before = small_layer(config);
  runtime::LayerWeights after = small_layer(config);
  after.linears[static_cast<std::size_t>(Linear::v)].bias.assign(16, 3.0F);
  const std::vector<float> factors = factors_of(16);
  move_scales(config, Site::attention_out, factors, after);
  for (std::size_t row = 0; row < 16; ++row) {
    EXPECT_EQ(after.linear(Linear::v).bias[row], 3.0F / factors[row]);
    EXPECT_EQ(after.linear(Linear::v).f32(static_cast<std::int64_t>(row), 5),
              before.linear(Linear::v).f32(static_cast<std::int64_t>(row), 5) / factors[row]);
  }
  EXPECT_EQ(after.linear(Linear::o).f32(2, 8 + 3), before.linear(Linear::o).f32(2, 8 + 3) * factors[3]);
  EXPECT_EQ(after.linear(Linear::o).f32(2, 24 + 3), before.linear(Linear::o).f32(2, 24 + 3) * factors[11]);
}

// Rows of gate and up with their biases, columns of down; the rest stays.
TEST(Pairs, InnerChannelsChangePlaces) {
  const model::ModelConfig config = small_config();
  runtime::LayerWeights before = small_layer(config);
  auto& bias = before.linears[static_cast<std::size_t>(Linear::up)].bias;
  for (std::int64_t i = 0; i < config.intermediate_size; ++i) bias.push_back(static_cast<float>(i));
  runtime::LayerWeights after = before;
  std::vector<std::int32_t> order;
  for (std::int64_t i = 0; i < config.intermediate_size; ++i)
    order.push_back(static_cast<std::int32_t>((i * 5 + 3) % config.intermediate_size));
  reorder_inner_channels(order, after);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto to = static_cast<std::int64_t>(i);
    for (const Linear which : {Linear::gate, Linear::up})
      EXPECT_EQ(after.linear(which).f32(to, 2), before.linear(which).f32(order[i], 2));
    EXPECT_EQ(after.linear(Linear::up).bias[i], static_cast<float>(order[i]));
    EXPECT_EQ(after.linear(Linear::down).f32(1, to), before.linear(Linear::down).f32(1, order[i]));
  }
  EXPECT_TRUE(after.linear(Linear::gate).bias.empty());
  EXPECT_EQ(after.linear(Linear::v).f32(0, 0), before.linear(Linear::v).f32(0, 0));
}

}  // namespace
}  // namespace quernel::transform
