#include "runtime/layer_weights.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <vector>

#include "runtime/model_fixture.h"

namespace quernel::runtime {
namespace {

using test::TinyModel;

struct Opened {
  explicit Opened(const TinyModel& tiny) {
    tiny.write(folder.path());
    auto result = model::Checkpoint::open(folder.path());
    if (result.ok()) checkpoint.emplace(std::move(result).value());
  }
  test::TempFolder folder;
  std::optional<model::Checkpoint> checkpoint;
};

TinyModel drawn(TinyModel tiny) {
  tiny.draw(1);
  return tiny;
}
TinyModel phi3() { return test::tiny_models()[8]; }

TEST(LayerWeights, DenseWeightsStayInTheMap) {
  const Opened opened(drawn(test::tiny_llama()));
  const LayerWeights layer = load_layer(*opened.checkpoint, 1).value();
  EXPECT_EQ(layer.index, 1);
  for (const LinearWeight& weight : layer.linears) {
    EXPECT_NE(weight.f32.data, nullptr);
    EXPECT_EQ(weight.owned, nullptr);
    EXPECT_TRUE(weight.bias.empty());
  }
  EXPECT_TRUE(layer.attention_post_norm.empty());
  EXPECT_TRUE(layer.q_norm.empty());
}

TEST(LayerWeights, TiedEndsShareMemory) {
  TinyModel tiny = test::tiny_llama();
  tiny.tied = true;
  const Opened tied(drawn(tiny));
  const EndWeights ends = load_ends(*tied.checkpoint).value();
  EXPECT_EQ(ends.head.f32.data, ends.embedding.f32.data);
  const Opened untied(drawn(test::tiny_llama()));
  const EndWeights two = load_ends(*untied.checkpoint).value();
  EXPECT_NE(two.head.f32.data, two.embedding.f32.data);
}

TEST(LayerWeights, GemmaGainsHoldTheirOne) {
  const TinyModel tiny = test::tiny_models()[6];
  ASSERT_EQ(tiny.model_type, "gemma2");
  const Opened opened(tiny);
  const LayerWeights layer = load_layer(*opened.checkpoint, 0).value();
  EXPECT_EQ(layer.mlp_norm[3], tiny.tensors.at("model.layers.0.pre_feedforward_layernorm.weight").values[3] + 1.0F);
  EXPECT_EQ(layer.attention_post_norm[3],
            tiny.tensors.at("model.layers.0.post_attention_layernorm.weight").values[3] + 1.0F);
}

TEST(LayerWeights, FusedModulesAreSplitByRows) {
  const TinyModel tiny = phi3();
  ASSERT_TRUE(tiny.fused);
  const Opened opened(tiny);
  const LayerWeights layer = load_layer(*opened.checkpoint, 0).value();
  const std::vector<float>& qkv = tiny.tensors.at("model.layers.0.self_attn.qkv_proj.weight").values;
  const std::int64_t q = tiny.heads * tiny.head_dim;
  const std::int64_t kv = tiny.kv_heads * tiny.head_dim;
  EXPECT_EQ(layer.linear(model::Linear::q).rows, q);
  EXPECT_EQ(layer.linear(model::Linear::k).f32(0, 2), qkv[static_cast<std::size_t>(q * tiny.hidden + 2)]);
  EXPECT_EQ(layer.linear(model::Linear::v).f32(1, 0), qkv[static_cast<std::size_t>((q + kv + 1) * tiny.hidden)]);
}

TEST(LayerWeights, ReplaceCoversAllPartsAndKeepsBiases) {
  TinyModel tiny = test::tiny_llama();
  tiny.qkv_bias = tiny.out_bias = true;
  tiny.config["attention_bias"] = true;
  const Opened biased(drawn(tiny));
  LayerWeights layer = load_layer(*biased.checkpoint, 0).value();
  const model::ModelConfig& config = biased.checkpoint->config();
  const std::vector<float> bias = layer.linear(model::Linear::q).bias;
  ASSERT_FALSE(bias.empty());
  Matrix weight(config.q_size(), config.hidden_size);
  weight.fill(0.25F);
  for (const model::LinearModule& module : model::linear_modules(config, 0)) {
    if (module.parts[0].linear == model::Linear::q) layer.replace(module, std::move(weight));
  }
  EXPECT_EQ(layer.linear(model::Linear::q).f32(3, 3), 0.25F);
  EXPECT_EQ(layer.linear(model::Linear::q).bias, bias);
  EXPECT_NE(layer.linear(model::Linear::k).f32(0, 0), 0.25F);

  const Opened fused(phi3());
  LayerWeights split = load_layer(*fused.checkpoint, 0).value();
  const model::LinearModule module = model::linear_modules(fused.checkpoint->config(), 0)[0];
  ASSERT_EQ(module.parts.size(), 3U);
  Matrix numbered(module.rows, module.cols);
  for (std::int64_t r = 0; r < module.rows; ++r) numbered(r, 0) = static_cast<float>(r);
  split.replace(module, std::move(numbered));
  EXPECT_EQ(split.linear(model::Linear::k).f32(0, 0), static_cast<float>(module.parts[1].first_row));
}

TEST(LayerWeights, ReplacedWeightsOutliveTheirSource) {
  const TinyModel tiny = drawn(test::tiny_llama());
  LayerWeights kept;
  {
    const Opened opened(tiny);
    LayerWeights layer = load_layer(*opened.checkpoint, 0).value();
    for (const model::LinearModule& module : model::linear_modules(opened.checkpoint->config(), 0)) {
      Matrix weight(module.rows, module.cols);
      weight.fill(2.0F);
      layer.replace(module, std::move(weight));
    }
    kept = layer;
  }
  for (const LinearWeight& weight : kept.linears) EXPECT_EQ(weight.f32(weight.rows - 1, weight.cols - 1), 2.0F);
}

// Any tensor missing or of another shape is refused by name, at the latest when its layer is loaded.
TEST(LayerWeights, MissingAndMisshapenTensorsAreNamed) {
  for (const TinyModel& whole : test::tiny_models()) {
    for (const auto& [name, tensor] : whole.tensors) {
      if (name.find("layers.1.") != std::string::npos || name.find("layers.2.") != std::string::npos) continue;
      if (name.ends_with(".bias")) continue;
      for (const bool drop : {true, false}) {
        TinyModel broken = whole;
        if (drop) {
          broken.tensors.erase(name);
        } else {
          auto& changed = broken.tensors.at(name);
          changed.cols += 1;
          changed.values.resize(static_cast<std::size_t>(std::max<std::int64_t>(changed.rows, 1) * changed.cols));
        }
        test::TempFolder folder;
        broken.write(folder.path());
        const auto load = [&]() -> Status {
          QUERNEL_TRY(const model::Checkpoint checkpoint, model::Checkpoint::open(folder.path()));
          QUERNEL_TRY(const LayerWeights layer, load_layer(checkpoint, 0));
          QUERNEL_TRY(const EndWeights ends, load_ends(checkpoint));
          return ok_status();
        };
        const Status status = load();
        ASSERT_FALSE(status.ok()) << name << (drop ? " missing" : " misshapen");
        EXPECT_NE(to_string(status.error()).find(name.substr(0, name.rfind('.'))), std::string::npos)
            << to_string(status.error());
      }
    }
  }
}

}  // namespace
}  // namespace quernel::runtime
