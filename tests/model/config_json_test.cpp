#include "model/config_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <numbers>

#include "model/architectures.h"
#include "model/modules.h"
#include "support/temp_folder.h"

namespace quernel::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const char* const kLlama = R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 32,
  "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 96,
  "max_position_embeddings": 512})";

Json parse(const std::string& text) {
  Result<Json> json = parse_json(text, "config.json");
  EXPECT_TRUE(json.ok()) << text;
  return json.ok() ? std::move(*json) : Json::object();
}

Json llama() { return parse(kLlama); }

ModelConfig read(const Json& json) {
  Result<ModelConfig> config = config_from_json(json, "config.json");
  EXPECT_TRUE(config.ok()) << (config.ok() ? "" : to_string(config.error()));
  return config.ok() ? std::move(*config) : ModelConfig{};
}

Error refusal(const Json& json) {
  const Result<ModelConfig> config = config_from_json(json, "some/config.json");
  EXPECT_FALSE(config.ok()) << json.dump();
  if (config.ok()) return {};
  EXPECT_EQ(config.error().file, "some/config.json");
  return config.error();
}

// The inverse frequencies that a rotation stands for, by the formulas of its papers.
std::vector<double> inverse_frequencies(const RopeConfig& rope) {
  const auto dim = static_cast<double>(rope.rotary_dim);
  const auto correction = [&](double rotations) {
    return dim * std::log(rope.original_context / (rotations * 2 * std::numbers::pi)) / (2 * std::log(rope.theta));
  };
  double low = correction(rope.beta_fast);
  double high = correction(rope.beta_slow);
  if (rope.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dim - 1);
  std::vector<double> out;
  for (std::int64_t i = 0; i < rope.rotary_dim / 2; ++i) {
    const double plain = std::pow(rope.theta, -2.0 * static_cast<double>(i) / dim);
    const double length = 2 * std::numbers::pi / plain;
    double value = plain;
    if (rope.scaling == RopeScaling::linear) value = plain / rope.factor;
    if (rope.scaling == RopeScaling::llama3) {
      const double t =
          (rope.original_context / length - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
      value = plain * std::clamp((1 - t) / rope.factor + t, 1 / rope.factor, 1.0);
    }
    if (rope.scaling == RopeScaling::yarn) {
      const double ramp = std::clamp((static_cast<double>(i) - low) / std::max(high - low, 0.001), 0.0, 1.0);
      value = plain / rope.factor * ramp + plain * (1 - ramp);
    }
    out.push_back(value);
  }
  return out;
}

void expect_rope(const RopeConfig& rope, const Json& expected) {
  const auto made = inverse_frequencies(rope);
  ASSERT_EQ(made.size(), expected[0].size());
  for (std::size_t i = 0; i < made.size(); ++i) {
    const double wanted = expected[0][i].get<double>();
    EXPECT_NEAR(made[i], wanted, 1e-6 * wanted) << "frequency " << i;
  }
  EXPECT_NEAR(rope.attention_factor, expected[1].get<double>(), 1e-9);
}

void expect_layers(const ModelConfig& config, const Json& expected) {
  ASSERT_EQ(config.layers.size(), expected["windows"].size());
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    const Json& window = expected["windows"][i];
    EXPECT_EQ(config.layers[i].sliding_window.value_or(-1), window.is_null() ? -1 : window.get<std::int64_t>()) << i;
    EXPECT_EQ(config.layers[i].rotates, expected["rotates"][i].get<bool>()) << i;
    EXPECT_EQ(config.layers[i].local_rope, expected["rope"].contains("sliding") && !window.is_null()) << i;
  }
}

void expect_tensors(const ModelConfig& config, const Json& expected) {
  std::map<std::string, std::vector<std::int64_t>> ours, theirs;
  for (const ExpectedTensor& tensor : expected_tensors(config)) ours[tensor.name] = tensor.shape;
  for (const auto& [name, shape] : expected.items()) theirs[name] = shape.get<std::vector<std::int64_t>>();
  EXPECT_EQ(ours, theirs);
}

class TransformersConfig : public ::testing::TestWithParam<std::string> {};

TEST_P(TransformersConfig, MeansWhatTransformersMakesOfIt) {
  const Json file =
      parse(test::read_text(std::string(QUERNEL_SOURCE_DIR) + "/tests/model/data/" + GetParam() + ".json"));
  const Json& expected = file["expected"];
  const ModelConfig config = read(file["config"]);
  expect_tensors(config, expected["tensors"]);
  expect_layers(config, expected);
  expect_rope(config.rope, expected["rope"]["full"]);
  if (expected["rope"].contains("sliding")) expect_rope(config.rope_local, expected["rope"]["sliding"]);
  EXPECT_EQ(config.tie_word_embeddings, expected["tied"].get<bool>());
  EXPECT_NEAR(config.attention_scale, expected["attention_scale"].get<double>(), 1e-12);
  EXPECT_EQ(config.attention_softcap, expected["attention_softcap"].get<double>());
  EXPECT_EQ(config.logit_softcap, expected["logit_softcap"].get<double>());
  EXPECT_NEAR(config.embedding_scale, expected["embedding_scale"].get<double>(), 1e-12);
  EXPECT_EQ(config.residual_scale, expected["residual_scale"].get<double>());
  EXPECT_EQ(config.logit_scale, expected["logit_scale"].get<double>());
  EXPECT_EQ(config.rms_norm_eps, expected["eps"].get<double>());
  EXPECT_EQ(config.activation, expected["activation"] == "silu" ? Activation::silu : Activation::gelu_tanh);
  EXPECT_EQ(config.eos_token_ids, expected["eos"].get<std::vector<std::int64_t>>());
  EXPECT_EQ(config.bos_token_id, 1);
  EXPECT_EQ(config.stored_dtype, "float32");
}

std::vector<std::string> data_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(QUERNEL_SOURCE_DIR) + "/tests/model/data"))
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  std::ranges::sort(names);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Written, TransformersConfig, ::testing::ValuesIn(data_names()),
                         [](const auto& which) { return which.param; });

TEST(ConfigJson, EveryArchitectureHasACaseFromTransformers) {
  const auto names = data_names();
  for (const Architecture& row : architectures())
    EXPECT_NE(std::ranges::find(names, std::string(row.family)), names.end()) << row.family;
}

TEST(ConfigJson, AbsentFieldsTakeTheDefaultsOfTheFamily) {
  const ModelConfig config = read(llama());
  EXPECT_EQ(config.num_kv_heads, 4);
  EXPECT_EQ(config.head_dim, 8);
  EXPECT_EQ(config.rms_norm_eps, 1e-6);
  EXPECT_EQ(config.rope.theta, 10000.0);
  EXPECT_EQ(config.rope.rotary_dim, 8);
  EXPECT_FALSE(config.tie_word_embeddings);
  EXPECT_EQ(config.bos_token_id, 1);
  EXPECT_THAT(config.eos_token_ids, ElementsAre(2));
  EXPECT_EQ(config.stored_dtype, "");
}

TEST(ConfigJson, AbsentAndNullDiffer) {
  Json json = llama();
  json["architectures"] = {"MistralForCausalLM"};
  json["model_type"] = "mistral";
  json["num_attention_heads"] = 16;
  ModelConfig config = read(json);
  EXPECT_EQ(config.layers[0].sliding_window, 4096);
  EXPECT_EQ(config.num_kv_heads, 8);
  json["sliding_window"] = nullptr;
  json["num_key_value_heads"] = nullptr;
  config = read(json);
  EXPECT_FALSE(config.layers[0].sliding_window.has_value());
  EXPECT_EQ(config.num_kv_heads, 16);
}

// The text part of a published Gemma 3 wrapper is as short as this.
TEST(ConfigJson, WrapperOfGemma3IsCompletedFromDefaults) {
  const Json json = parse(R"({"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3",
    "eos_token_id": [1, 106], "torch_dtype": "bfloat16",
    "text_config": {"hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text",
      "num_hidden_layers": 34, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024},
    "vision_config": {"hidden_size": 1152}})");
  const ModelConfig config = read(json);
  EXPECT_EQ(config.architecture, "Gemma3ForCausalLM");
  EXPECT_EQ(config.num_heads, 8);
  EXPECT_EQ(config.num_kv_heads, 4);
  EXPECT_EQ(config.head_dim, 256);
  EXPECT_EQ(config.vocab_size, 262208);
  EXPECT_EQ(config.max_positions, 131072);
  EXPECT_TRUE(config.tie_word_embeddings);
  EXPECT_EQ(config.stored_dtype, "bfloat16");
  EXPECT_THAT(config.eos_token_ids, ElementsAre(1, 106));
  EXPECT_EQ(config.rope.theta, 1e6);
  EXPECT_EQ(config.rope.scaling, RopeScaling::linear);
  EXPECT_EQ(config.rope_local.theta, 1e4);
  EXPECT_EQ(config.rope_local.scaling, RopeScaling::none);
  EXPECT_EQ(config.layers[4].sliding_window, 1024);
  EXPECT_FALSE(config.layers[5].sliding_window.has_value());
  const Result<Json> text = text_config_json(json, "config.json");
  ASSERT_TRUE(text.ok());
  EXPECT_EQ((*text)["architectures"][0], "Gemma3ForCausalLM");
  EXPECT_FALSE(text->contains("vision_config"));
}

// What Transformers writes where a configuration is saved on its own.
TEST(ConfigJson, ArchitecturesMayBeNull) {
  Json json = parse(R"({"architectures": null, "model_type": "gemma3_text", "hidden_size": 64, "intermediate_size": 96,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 96})");
  EXPECT_EQ(read(json).architecture, "Gemma3ForCausalLM");
  json["architectures"] = Json::array();
  EXPECT_EQ(refusal(json).field, "architectures");
}

TEST(ConfigJson, RequiredFieldsAreNamed) {
  for (const char* key : {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size",
                          "max_position_embeddings"}) {
    Json json = llama();
    json.erase(key);
    const Error error = refusal(json);
    EXPECT_EQ(error.fault, Fault::not_found) << key;
    EXPECT_EQ(error.field, key);
  }
  Json json = llama();
  json.erase("architectures");
  json.erase("model_type");
  EXPECT_EQ(refusal(json).fault, Fault::not_found);
}

struct Hostile {
  const char* key;
  const char* value;
  const char* field;
};

TEST(ConfigJson, HostileValuesAreRefusedWithTheirField) {
  const Hostile cases[] = {
      {"hidden_size", "0", "hidden_size"},
      {"hidden_size", "-32", "hidden_size"},
      {"hidden_size", "9223372036854775807", "hidden_size"},
      {"hidden_size", "18446744073709551615", "hidden_size"},
      {"hidden_size", "\"32\"", "hidden_size"},
      {"hidden_size", "32.5", "hidden_size"},
      {"hidden_size", "[32]", "hidden_size"},
      {"hidden_size", "33", "num_attention_heads"},
      {"intermediate_size", "1e30", "intermediate_size"},
      {"num_hidden_layers", "1000000000", "num_hidden_layers"},
      {"num_attention_heads", "0", "num_attention_heads"},
      {"num_key_value_heads", "3", "num_key_value_heads"},
      {"num_key_value_heads", "0", "num_key_value_heads"},
      {"head_dim", "7", "head_dim"},
      {"head_dim", "4000000000", "head_dim"},
      {"vocab_size", "-1", "vocab_size"},
      {"max_position_embeddings", "0", "max_position_embeddings"},
      {"rms_norm_eps", "-1e-5", "rms_norm_eps"},
      {"rms_norm_eps", "\"small\"", "rms_norm_eps"},
      {"tie_word_embeddings", "1", "tie_word_embeddings"},
      {"attention_bias", "\"no\"", "attention_bias"},
      {"eos_token_id", "[2, \"x\"]", "eos_token_id"},
      {"eos_token_id", "{}", "eos_token_id"},
      {"rope_theta", "0", "rope_theta"},
      {"rope_theta", "-10000.0", "rope_theta"},
      {"rope_theta", "1", "rope_theta"},
      {"rope_scaling", "[1]", "rope_scaling"},
      {"rope_parameters", "\"default\"", "rope_parameters"},
      {"partial_rotary_factor", "0.5", "partial_rotary_factor"},
      {"dtype", "16", "dtype"},
      {"architectures", "[]", "architectures"},
      {"architectures", "[7]", "architectures"},
      {"model_type", "\"mistral\"", "model_type"},
  };
  for (const Hostile& hostile : cases) {
    Json json = llama();
    json[hostile.key] = parse(std::string("[") + hostile.value + "]")[0];
    EXPECT_EQ(refusal(json).field, hostile.field) << hostile.key << " = " << hostile.value;
  }
  for (const char* text : {"[]", "7", "null", "\"x\""}) EXPECT_EQ(refusal(parse(text)).fault, Fault::corrupt);
}

TEST(ConfigJson, UnknownArchitectureListsTheKnownOnes) {
  Json json = llama();
  json["architectures"] = {"DeepseekV3ForCausalLM"};
  json["model_type"] = "deepseek_v3";
  const Error error = refusal(json);
  EXPECT_EQ(error.fault, Fault::unsupported);
  EXPECT_THAT(error.message, HasSubstr("DeepseekV3ForCausalLM"));
  EXPECT_THAT(error.expected, HasSubstr("Qwen3ForCausalLM"));
  json.erase("architectures");
  EXPECT_THAT(refusal(json).message, HasSubstr("deepseek_v3"));
}

TEST(ConfigJson, UnsupportedActivationIsNamed) {
  Json json = llama();
  json["hidden_act"] = "relu";
  const Error error = refusal(json);
  EXPECT_EQ(error.fault, Fault::unsupported);
  EXPECT_EQ(error.field, "hidden_act");
}

TEST(ConfigJson, IdsOutsideTheVocabularyAreDropped) {
  Json json = llama();
  json["bos_token_id"] = -1;
  json["eos_token_id"] = {2, 96, -1, 5};
  const ModelConfig config = read(json);
  EXPECT_FALSE(config.bos_token_id.has_value());
  EXPECT_THAT(config.eos_token_ids, ElementsAre(2, 5));
}

TEST(ConfigJson, TruncationAtEveryByteIsRefused) {
  const std::string text = kLlama;
  for (std::size_t length = 0; length < text.size(); ++length) {
    const Result<Json> json = parse_json(std::string_view(text).substr(0, length), "config.json");
    ASSERT_FALSE(json.ok()) << length;
    EXPECT_EQ(json.error().fault, Fault::corrupt);
    EXPECT_EQ(json.error().file, "config.json");
    EXPECT_TRUE(json.error().offset.has_value());
  }
}

TEST(ConfigJson, OnlineTransformsAreReadAndUnknownOnesRefused) {
  Json json = llama();
  EXPECT_FALSE(read(json).has_online_transforms());
  json["quernel_runtime"] = {{"online_qk_hadamard", true}};
  EXPECT_TRUE(read(json).online_qk_hadamard);
  EXPECT_FALSE(read(json).online_down_hadamard);
  json["quernel_runtime"]["online_down_hadamard"] = true;
  EXPECT_TRUE(read(json).online_down_hadamard);
  json["quernel_runtime"]["online_down_hadamard"] = 1;
  EXPECT_EQ(refusal(json).field, "quernel_runtime.online_down_hadamard");
  json["quernel_runtime"] = {{"online_other", true}};
  EXPECT_EQ(refusal(json).field, "quernel_runtime.online_other");
  json["quernel_runtime"] = true;
  EXPECT_EQ(refusal(json).field, "quernel_runtime");
}

}  // namespace
}  // namespace quernel::model
