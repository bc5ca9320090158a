#include "model/modules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace quernel::model {
namespace {

using ::testing::ElementsAre;

ModelConfig small_config() {
  ModelConfig config;
  config.vocab_size = 11;
  config.hidden_size = 6;
  config.intermediate_size = 10;
  config.num_layers = 2;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 2;
  config.layers.resize(2);
  return config;
}

std::vector<std::string> names(const std::vector<LinearModule>& modules) {
  std::vector<std::string> out;
  for (const LinearModule& module : modules) out.push_back(module.name);
  return out;
}

TEST(Modules, ListsSevenLinearsWithTheirShapes) {
  const auto modules = linear_modules(small_config(), 1);
  EXPECT_THAT(names(modules), ElementsAre("model.layers.1.self_attn.q_proj", "model.layers.1.self_attn.k_proj",
                                          "model.layers.1.self_attn.v_proj", "model.layers.1.self_attn.o_proj",
                                          "model.layers.1.mlp.gate_proj", "model.layers.1.mlp.up_proj",
                                          "model.layers.1.mlp.down_proj"));
  EXPECT_EQ(modules[0].rows, 8);
  EXPECT_EQ(modules[0].cols, 6);
  EXPECT_EQ(modules[1].rows, 4);
  EXPECT_EQ(modules[3].rows, 6);
  EXPECT_EQ(modules[3].cols, 8);  // heads * head_dim, not hidden_size
  EXPECT_EQ(modules[6].cols, 10);
  EXPECT_EQ(modules[3].site, Site::attention_out);
  EXPECT_EQ(modules[6].site, Site::mlp_out);
}

TEST(Modules, FusedModulesHoldRowRanges) {
  ModelConfig config = small_config();
  config.fused_qkv = true;
  config.fused_gate_up = true;
  const auto modules = linear_modules(config, 0);
  EXPECT_THAT(names(modules), ElementsAre("model.layers.0.self_attn.qkv_proj", "model.layers.0.self_attn.o_proj",
                                          "model.layers.0.mlp.gate_up_proj", "model.layers.0.mlp.down_proj"));
  ASSERT_EQ(modules[0].parts.size(), 3U);
  EXPECT_EQ(modules[0].rows, 16);
  EXPECT_EQ(modules[0].parts[1].linear, Linear::k);
  EXPECT_EQ(modules[0].parts[1].first_row, 8);
  EXPECT_EQ(modules[0].parts[2].first_row, 12);
  EXPECT_EQ(modules[0].parts[2].num_rows, 4);
  ASSERT_EQ(modules[2].parts.size(), 2U);
  EXPECT_EQ(modules[2].parts[1].first_row, 10);
}

TEST(Modules, NormsOfEachArrangement) {
  ModelConfig config = small_config();
  EXPECT_EQ(norm_names(config, 0).mlp, "model.layers.0.post_attention_layernorm.weight");
  EXPECT_EQ(norm_names(config, 0).attention_post, "");
  config.norm_after = true;  // Gemma
  EXPECT_EQ(norm_names(config, 0).mlp, "model.layers.0.pre_feedforward_layernorm.weight");
  EXPECT_EQ(norm_names(config, 0).attention_post, "model.layers.0.post_attention_layernorm.weight");
  config.norm_before = false;  // OLMo2
  EXPECT_EQ(norm_names(config, 0).mlp, "");
  EXPECT_EQ(norm_names(config, 0).mlp_post, "model.layers.0.post_feedforward_layernorm.weight");
}

TEST(Modules, ExpectedTensorsFollowTheConfiguration) {
  ModelConfig config = small_config();
  EXPECT_EQ(expected_tensors(config).size(), 2U + 2 * 9 + 1);  // embedding, final norm, head
  config.tie_word_embeddings = true;
  config.qkv_bias = true;
  config.qk_norm_full = true;
  const auto tensors = expected_tensors(config);
  EXPECT_EQ(tensors.size(), 2U + 2 * (9 + 3 + 2));
  const auto find = [&](const std::string& name) {
    return std::ranges::find_if(tensors, [&](const ExpectedTensor& tensor) { return tensor.name == name; });
  };
  EXPECT_THAT(find("model.layers.0.self_attn.k_proj.bias")->shape, ElementsAre(4));
  EXPECT_THAT(find("model.layers.1.self_attn.q_norm.weight")->shape, ElementsAre(8));
  EXPECT_EQ(find("lm_head.weight"), tensors.end());
}

TEST(Modules, WidthOfSites) {
  const ModelConfig config = small_config();
  EXPECT_EQ(site_width(config, Site::attention_in), 6);
  EXPECT_EQ(site_width(config, Site::attention_out), 8);
  EXPECT_EQ(site_width(config, Site::mlp_out), 10);
  EXPECT_STREQ(to_string(Site::mlp_in), "mlp_in");
}

}  // namespace
}  // namespace quernel::model
