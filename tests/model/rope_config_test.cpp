#include "model/rope_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "model/config_json.h"

namespace quernel::model {
namespace {

Json base(const std::string& rope) {
  const std::string text = R"({"architectures": ["LlamaForCausalLM"], "hidden_size": 32, "intermediate_size": 48,
    "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 96, "max_position_embeddings": 131072, )" +
                           rope + "}";
  Result<Json> json = parse_json(text, "config.json");
  EXPECT_TRUE(json.ok()) << text;
  return json.ok() ? std::move(*json) : Json();
}

Result<ModelConfig> read(const std::string& rope) { return config_from_json(base(rope), "config.json"); }

RopeConfig rope_of(const std::string& text) {
  const Result<ModelConfig> config = read(text);
  EXPECT_TRUE(config.ok()) << to_string(config.error());
  return config.ok() ? config->rope : RopeConfig{};
}

constexpr const char* kLlama3 =
    R"("factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192)";

TEST(RopeConfig, OldAndNewStyleMeanTheSame) {
  for (const std::string& text :
       {std::string(R"("rope_theta": 500000.0, "rope_scaling": {"rope_type": "llama3", )") + kLlama3 + "}",
        std::string(R"("rope_theta": 500000.0, "rope_scaling": {"type": "llama3", )") + kLlama3 + "}",
        std::string(R"("rope_parameters": {"rope_theta": 500000, "rope_type": "llama3", )") + kLlama3 + "}"}) {
    const RopeConfig rope = rope_of(text);
    EXPECT_EQ(rope.theta, 500000.0);
    EXPECT_EQ(rope.scaling, RopeScaling::llama3);
    EXPECT_EQ(rope.factor, 8.0);
    EXPECT_EQ(rope.high_freq_factor, 4.0);
    EXPECT_EQ(rope.original_context, 8192.0);
  }
}

TEST(RopeConfig, RopeScalingWinsOverRopeParameters) {
  const RopeConfig rope = rope_of(R"("rope_theta": 7000.0, "rope_scaling": {"type": "linear", "factor": 2.0},
      "rope_parameters": {"rope_type": "default", "rope_theta": 9000.0})");
  EXPECT_EQ(rope.scaling, RopeScaling::linear);
  EXPECT_EQ(rope.theta, 7000.0);
}

TEST(RopeConfig, NullsAreAbsent) {
  EXPECT_EQ(rope_of(R"("rope_theta": null, "rope_scaling": null, "rope_parameters": null)").theta, 10000.0);
}

TEST(RopeConfig, ByLayerType) {
  const Result<ModelConfig> config = read(R"("rope_parameters": {
      "full_attention": {"rope_type": "default", "rope_theta": 1000.0},
      "sliding_attention": {"rope_type": "default", "rope_theta": 100.0}})");
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->rope.theta, 1000.0);
  EXPECT_EQ(config->rope_local.theta, 100.0);
  EXPECT_FALSE(config->layers[0].local_rope);  // Llama has no sliding layers
}

TEST(RopeConfig, YarnInfersItsAttentionFactor) {
  const std::string yarn = R"("rope_parameters": {"rope_type": "yarn", "factor": 4.0, )";
  EXPECT_NEAR(rope_of(yarn + R"("original_max_position_embeddings": 32768})").attention_factor, 0.1 * std::log(4.0) + 1,
              1e-12);
  EXPECT_EQ(rope_of(yarn + R"("attention_factor": 1.25})").attention_factor, 1.25);
  EXPECT_NEAR(rope_of(yarn + R"("mscale": 2.0, "mscale_all_dim": 1.0})").attention_factor,
              (0.2 * std::log(4.0) + 1) / (0.1 * std::log(4.0) + 1), 1e-12);
  const RopeConfig rope = rope_of(yarn + R"("beta_fast": 0, "truncate": false})");
  EXPECT_EQ(rope.beta_fast, 32.0);
  EXPECT_FALSE(rope.truncate);
  EXPECT_EQ(rope.original_context, 131072.0);
}

TEST(RopeConfig, TypesThatFollowTheLengthAreRefused) {
  for (const char* type : {"dynamic", "longrope", "su", "mrope", "proportional", ""}) {
    const Result<ModelConfig> config = read(std::string(R"("rope_scaling": {"factor": 2.0, "type": ")") + type + "\"}");
    ASSERT_FALSE(config.ok()) << type;
    EXPECT_EQ(config.error().fault, Fault::unsupported);
    EXPECT_EQ(config.error().field, "rope_type");
  }
  Json phi = base(R"("rope_scaling": {"type": "yarn", "factor": 2.0})");
  phi["architectures"] = {"Phi3ForCausalLM"};
  EXPECT_FALSE(config_from_json(phi, "config.json").ok());
}

TEST(RopeConfig, HostileConstantsAreRefused) {
  for (const char* text :
       {R"("rope_scaling": {"type": "linear"})", R"("rope_scaling": {"type": "linear", "factor": 0})",
        R"("rope_scaling": {"type": "linear", "factor": -2})", R"("rope_scaling": {"type": "linear", "factor": 1e300})",
        R"("rope_scaling": {"type": "llama3", "factor": 8})",
        R"("rope_scaling": {"type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4})",
        R"("rope_scaling": {"type": "llama3", "factor": 8, "low_freq_factor": 0, "high_freq_factor": 4})",
        R"("rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 0})",
        R"("rope_scaling": {"type": "yarn", "factor": 4, "beta_fast": -1})", R"("rope_scaling": {"type": 3})",
        R"("rope_parameters": {"full_attention": 3})",
        R"("rope_parameters": {"full_attention": [], "sliding_attention": {}})"}) {
    EXPECT_FALSE(read(text).ok()) << text;
  }
}

}  // namespace
}  // namespace quernel::model
