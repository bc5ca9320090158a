#include "transform/smooth_attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/rng.h"
#include "runtime/block.h"
#include "runtime/model_fixture.h"

namespace quernel::transform {
namespace {

using runtime::LoadedModel;

struct Fixture {
  explicit Fixture(const test::TinyModel& tiny)
      : loaded(tiny), rope(runtime::RopeTable::make(loaded.model->config())) {}
  LoadedModel loaded;
  std::shared_ptr<const runtime::RopeTable> rope;

  [[nodiscard]] Matrix attention_of(const runtime::LayerWeights& weights, const Matrix& input, int kv_bits) {
    runtime::BlockContext context;
    context.config = &loaded.model->config();
    context.rope = rope.get();
    context.pool = &loaded.pool;
    context.simulated.kv_bits = kv_bits;
    Matrix out(input.rows(), context.config->q_size());
    runtime::attention_mix(context, weights, input, {{.num_tokens = input.rows()}}, out);
    return out;
  }
};

Matrix some_input(const test::TinyModel& tiny, std::int64_t tokens) {
  CounterRng rng(4, "input");
  Matrix input(tokens, tiny.hidden);
  for (std::int64_t i = 0; i < input.size(); ++i) input.data()[i] = static_cast<float>(rng.normal());
  return input;
}

std::vector<float> some_maxima(std::int64_t count) {
  std::vector<float> maxima;
  for (std::int64_t i = 0; i < count; ++i) maxima.push_back(0.1F + static_cast<float>(i * 7 % 11));
  return maxima;
}

TEST(SmoothAttention, KeepsTheFunctionOfEveryArchitecture) {
  for (test::TinyModel tiny : test::tiny_models()) {
    SCOPED_TRACE(tiny.model_type);
    tiny.draw(3);
    Fixture setup(tiny);
    const Matrix input = some_input(tiny, 20);
    for (std::int64_t layer = 0; layer < tiny.num_layers(); ++layer) {
      runtime::LayerWeights weights = runtime::load_layer(*setup.loaded.checkpoint, layer).value();
      const Matrix before = setup.attention_of(weights, input, 16);
      const auto maxima = some_maxima(tiny.kv_heads * tiny.head_dim);
      const auto& config = setup.loaded.model->config();
      apply_key_factors(config, smooth_attention_factors(config, weights.index, maxima, 0.5).value(), weights);
      EXPECT_LT(runtime::largest_difference(before, setup.attention_of(weights, input, 16)), 2e-4) << layer;
    }
  }
}

TEST(SmoothAttention, FactorsByHand) {
  model::ModelConfig config;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 6;
  config.rope.rotary_dim = 4;
  config.layers.resize(1);
  // Pairs (0, 2) and (1, 3) turn; 4 and 5 do not.
  const std::vector<float> maxima{1, 16, 9, 4, 25, 0, 4, 4, 4, 64, 1, 81};
  EXPECT_EQ(smooth_attention_factors(config, 0, maxima, 0.5).value(),
            (std::vector<float>{3, 4, 3, 4, 5, 1, 2, 8, 2, 8, 1, 9}));
  config.layers[0].rotates = false;
  EXPECT_EQ(smooth_attention_factors(config, 0, maxima, 0.5).value(),
            (std::vector<float>{1, 4, 3, 2, 5, 1, 2, 2, 2, 8, 1, 9}));
  config.layers[0].rotates = true;
  config.qk_norm_per_head = true;  // one gain for all heads
  EXPECT_EQ(smooth_attention_factors(config, 0, maxima, 0.5).value(),
            (std::vector<float>{3, 8, 3, 8, 5, 9, 3, 8, 3, 8, 5, 9}));
}

// Keys with a few large channels, as Llama's have: four bits lose less once the size is in the queries.
TEST(SmoothAttention, LowersTheErrorOfFourBitKeysWithOutliers) {
  test::TinyModel tiny = test::tiny_llama();
  tiny.layers.resize(1);
  tiny.draw(6);
  auto& key = tiny.tensors.at("model.layers.0.self_attn.k_proj.weight");
  auto& query = tiny.tensors.at("model.layers.0.self_attn.q_proj.weight");
  for (std::int64_t row = 0; row < key.rows; ++row) {
    const bool outlier = row % tiny.head_dim == 3;
    for (std::int64_t col = 0; col < key.cols; ++col) {
      key.values[static_cast<std::size_t>(row * key.cols + col)] *= outlier ? 25.0F : 1.0F;
    }
  }
  for (std::int64_t row = 0; row < query.rows; ++row) {  // the scores stay those of a sane model
    if (row % tiny.head_dim != 3) continue;
    for (std::int64_t col = 0; col < query.cols; ++col)
      query.values[static_cast<std::size_t>(row * query.cols + col)] /= 25.0F;
  }
  Fixture setup(tiny);
  const Matrix input = some_input(tiny, 64);
  runtime::LayerWeights weights = runtime::load_layer(*setup.loaded.checkpoint, 0).value();
  const Matrix exact = setup.attention_of(weights, input, 16);
  const auto error_of = [&](const runtime::LayerWeights& layer) {
    const Matrix rounded = setup.attention_of(layer, input, 4);
    double sum = 0.0;
    for (std::int64_t i = 0; i < exact.size(); ++i) sum += std::pow(exact.data()[i] - rounded.data()[i], 2);
    return sum;
  };
  const double before = error_of(weights);
  std::vector<float> maxima(static_cast<std::size_t>(key.rows));
  for (std::int64_t t = 0; t < input.rows(); ++t) {
    for (std::int64_t row = 0; row < key.rows; ++row) {
      float sum = 0.0F;
      for (std::int64_t k = 0; k < key.cols; ++k)
        sum += key.values[static_cast<std::size_t>(row * key.cols + k)] * input(t, k);
      maxima[static_cast<std::size_t>(row)] = std::max(maxima[static_cast<std::size_t>(row)], std::abs(sum));
    }
  }
  const auto& config = setup.loaded.model->config();
  apply_key_factors(config, smooth_attention_factors(config, weights.index, maxima, 0.5).value(), weights);
  EXPECT_LT(error_of(weights), 0.6 * before);
}

TEST(SmoothAttention, RefusesMaximaThatAreNone) {
  test::TinyModel tiny = test::tiny_llama();
  tiny.draw(3);
  Fixture setup(tiny);
  auto maxima = some_maxima(tiny.kv_heads * tiny.head_dim);
  maxima[2] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(smooth_attention_factors(setup.loaded.model->config(), 0, maxima, 0.5).ok());
  maxima[2] = -1.0F;
  EXPECT_FALSE(smooth_attention_factors(setup.loaded.model->config(), 0, maxima, 0.5).ok());
  maxima.pop_back();
  EXPECT_FALSE(smooth_attention_factors(setup.loaded.model->config(), 0, maxima, 0.5).ok());
}

}  // namespace
}  // namespace quernel::transform
