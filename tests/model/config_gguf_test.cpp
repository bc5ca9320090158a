#include "model/config_gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "model/rope_recover.h"
#include "model/tiny_models.h"

namespace quernel::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Pairs = std::vector<std::string>;

Pairs with(Pairs pairs, const Pairs& more) {
  pairs.insert(pairs.end(), more.begin(), more.end());
  return pairs;
}

// Without the pair of a key: the first `key` bytes after the length say which it is.
Pairs without(Pairs pairs, const std::string& key) {
  std::erase_if(pairs, [&](const std::string& pair) { return pair.substr(8).starts_with(key); });
  return pairs;
}

Result<GgufConfig> read(const Pairs& pairs, TinyTensors tensors = {}) {
  const test::TempFolder folder;
  tensors.emplace("token_embd.weight", tiny_floats("e", {40, 32}));
  write_gguf(folder / "tiny.gguf", pairs, tensors);
  QUERNEL_TRY(const io::GgufFile file, io::GgufFile::open(folder / "tiny.gguf"));
  return config_from_gguf(file);
}

GgufConfig accept(const Pairs& pairs, const TinyTensors& tensors = {}) {
  Result<GgufConfig> config = read(pairs, tensors);
  EXPECT_TRUE(config.ok()) << to_string(config.error());
  return config.ok() ? std::move(*config) : GgufConfig{};
}

TEST(ConfigGguf, NumbersAreThoseThatTheSourceWrote) {
  const GgufConfig read = accept(with(tiny_gguf_pairs("llama"), {gguf_u32("tokenizer.ggml.bos_token_id", 1),
                                                                 gguf_u32("tokenizer.ggml.eos_token_id", 2)}));
  EXPECT_EQ(read.json["rms_norm_eps"].get<double>(), 1e-5);  // not 9.999999747378752e-06
  EXPECT_EQ(read.config.rms_norm_eps, 1e-5);
  EXPECT_EQ(read.config.vocab_size, 40);  // rows of the embedding
  EXPECT_EQ(read.json["torch_dtype"], "float16");
  EXPECT_TRUE(read.config.tie_word_embeddings);
  EXPECT_EQ(read.config.bos_token_id, 1);
  EXPECT_THAT(read.config.eos_token_ids, ElementsAre(2));
  EXPECT_EQ(read.obstacle, "");
}

TEST(ConfigGguf, StopTokensOfTheTurnJoin) {
  const Pairs ids{gguf_u32("tokenizer.ggml.eos_token_id", 2), gguf_u32("tokenizer.ggml.eot_token_id", 7)};
  EXPECT_THAT(accept(with(tiny_gguf_pairs("llama"), ids)).config.eos_token_ids, ElementsAre(2, 7));
}

TEST(ConfigGguf, HeadDimFallsBackToItsShare) {
  Pairs pairs =
      without(without(tiny_gguf_pairs("llama"), "llama.attention.key_length"), "llama.attention.value_length");
  EXPECT_EQ(accept(pairs).config.head_dim, 8);
  pairs.push_back(gguf_u32("llama.attention.value_length", 16));
  EXPECT_EQ(read(pairs).error().field, "llama.attention.value_length");
}

TEST(ConfigGguf, RequiredKeysAreNamed) {
  for (const char* key :
       {"llama.block_count", "llama.context_length", "llama.embedding_length", "llama.feed_forward_length",
        "llama.attention.head_count", "llama.attention.layer_norm_rms_epsilon", "general.architecture"}) {
    const Pairs pairs = without(tiny_gguf_pairs("llama"), key);
    const Result<GgufConfig> config = read(pairs);
    ASSERT_FALSE(config.ok()) << key;
    EXPECT_EQ(config.error().fault, Fault::not_found) << key;
    EXPECT_EQ(config.error().field, key);
    EXPECT_THAT(config.error().file, HasSubstr("tiny.gguf"));
  }
}

TEST(ConfigGguf, WhatIsNotSupportedIsSaid) {
  const Pairs llama = tiny_gguf_pairs("llama");
  EXPECT_EQ(read(tiny_gguf_pairs("mamba")).error().fault, Fault::unsupported);
  EXPECT_THAT(read(tiny_gguf_pairs("mamba")).error().expected, HasSubstr("LlamaForCausalLM"));
  EXPECT_EQ(read(with(llama, {gguf_u32("llama.expert_count", 8)})).error().fault, Fault::unsupported);
  const std::string by_layer = test::pair_bytes(
      "llama.attention.head_count", test::kArray,
      test::array_bytes(test::kU32, 2, test::number_bytes(std::uint32_t{4}) + test::number_bytes(std::uint32_t{4})));
  Pairs pairs = without(llama, "llama.attention.head_count");
  pairs.push_back(by_layer);
  EXPECT_EQ(read(pairs).error().fault, Fault::unsupported);
  for (const char* type : {"longrope", "dynamic", "?"})
    EXPECT_EQ(read(with(llama, {gguf_text("llama.rope.scaling.type", type)})).error().field, "rope_type") << type;
  EXPECT_EQ(read(tiny_gguf_pairs("phi3"), {{"rope_factors_long.weight", tiny_floats("f", {4})}}).error().fault,
            Fault::unsupported);
}

TEST(ConfigGguf, HostileNumbersAreRefused) {
  const Pairs llama = tiny_gguf_pairs("llama");
  const auto replaced = [&](const std::string& key, const std::string& pair) {
    return with(without(llama, key), {pair});
  };
  EXPECT_FALSE(read(replaced("llama.block_count", gguf_u32("llama.block_count", 0))).ok());
  EXPECT_FALSE(read(replaced("llama.block_count", gguf_u32("llama.block_count", 4000000000U))).ok());
  EXPECT_FALSE(read(replaced("llama.embedding_length", gguf_u32("llama.embedding_length", 0))).ok());
  EXPECT_FALSE(read(replaced("llama.rope.freq_base", gguf_f32("llama.rope.freq_base", std::nanf("")))).ok());
  EXPECT_FALSE(read(replaced("llama.rope.freq_base", gguf_f32("llama.rope.freq_base", 0.0F))).ok());
  EXPECT_FALSE(read(replaced("llama.block_count", gguf_text("llama.block_count", "two"))).ok());
  Pairs pairs = without(llama, "llama.attention.head_count");
  pairs.push_back(gguf_u32("llama.attention.head_count", 0));
  EXPECT_FALSE(read(pairs).ok());
}

TEST(ConfigGguf, ScalingTypes) {
  const Pairs llama = tiny_gguf_pairs("llama");
  const GgufConfig linear = accept(
      with(llama, {gguf_text("llama.rope.scaling.type", "linear"), gguf_f32("llama.rope.scaling.factor", 2.5F)}));
  EXPECT_EQ(linear.config.rope.scaling, RopeScaling::linear);
  EXPECT_EQ(linear.config.rope.factor, 2.5);
  EXPECT_EQ(accept(with(llama, {gguf_f32("llama.rope.scale_linear", 4.0F)})).config.rope.factor, 4.0);
  const GgufConfig yarn =
      accept(with(llama, {gguf_text("llama.rope.scaling.type", "yarn"), gguf_f32("llama.rope.scaling.factor", 4.0F),
                          gguf_u32("llama.rope.scaling.original_context_length", 32)}));
  EXPECT_EQ(yarn.config.rope.scaling, RopeScaling::yarn);
  EXPECT_EQ(yarn.config.rope.original_context, 32.0);
  EXPECT_NEAR(yarn.config.rope.attention_factor, 0.1 * std::log(4.0) + 1, 1e-12);
}

TinyTensor rope_table(const Llama3Scaling& scaling, double theta) {
  std::vector<float> divisors;
  for (std::int64_t i = 0; i < 16; ++i) divisors.push_back(static_cast<float>(llama3_divisor(scaling, theta, 32, i)));
  return tiny_tensor(DType::f32, {16}, divisors);
}

Pairs llama_with_heads_of_32() {
  Pairs pairs =
      without(without(tiny_gguf_pairs("llama"), "llama.attention.key_length"), "llama.attention.value_length");
  pairs = without(pairs, "llama.rope.freq_base");
  return with(pairs, {gguf_u32("llama.attention.key_length", 32), gguf_u32("llama.attention.value_length", 32),
                      gguf_f32("llama.rope.freq_base", 500000.0F)});
}

TEST(ConfigGguf, TableOfDivisorsBecomesLlama3InConfigJson) {
  const GgufConfig read =
      accept(llama_with_heads_of_32(), {{"rope_freqs.weight", rope_table({.factor = 32.0}, 500000.0)}});
  EXPECT_EQ(read.obstacle, "");
  const Json& rope = read.json["rope_parameters"];
  EXPECT_EQ(rope["rope_type"], "llama3");
  EXPECT_EQ(rope["factor"], 32.0);
  EXPECT_EQ(rope["original_max_position_embeddings"], 8192);
  // The runtime uses the table itself, and nothing twice.
  EXPECT_EQ(read.config.rope.scaling, RopeScaling::none);
  EXPECT_EQ(read.config.rope.frequency_factors.size(), 16U);
  const Result<ModelConfig> again = config_from_json(read.json, "config.json");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->rope.scaling, RopeScaling::llama3);
}

TEST(ConfigGguf, TableWithoutARuleIsAnObstacleForExport) {
  std::vector<float> divisors(16, 1.0F);
  TinyTensors tensors{{"rope_freqs.weight", tiny_tensor(DType::f32, {16}, divisors)}};
  GgufConfig read = accept(llama_with_heads_of_32(), tensors);
  EXPECT_TRUE(read.config.rope.frequency_factors.empty());
  EXPECT_EQ(read.obstacle, "");
  for (std::size_t i = 0; i < divisors.size(); ++i) divisors[i] = static_cast<float>(i + 1);
  tensors["rope_freqs.weight"] = tiny_tensor(DType::f32, {16}, divisors);
  read = accept(llama_with_heads_of_32(), tensors);
  EXPECT_EQ(read.config.rope.frequency_factors, divisors);
  EXPECT_THAT(read.obstacle, HasSubstr("rope_freqs"));
}

TEST(ConfigGguf, BrokenTablesAreRefused) {
  const auto table = [](const Shape& shape, float value) {
    return tiny_tensor(DType::f32, shape, std::vector<float>(static_cast<std::size_t>(shape[0]), value));
  };
  EXPECT_FALSE(read(llama_with_heads_of_32(), {{"rope_freqs.weight", table({15}, 2.0F)}}).ok());
  EXPECT_FALSE(read(llama_with_heads_of_32(), {{"rope_freqs.weight", table({16}, 0.0F)}}).ok());
  EXPECT_FALSE(read(llama_with_heads_of_32(), {{"rope_freqs.weight", table({16}, std::nanf(""))}}).ok());
}

TEST(ConfigGguf, FactsOfSingleFamilies) {
  const GgufConfig gemma2 = accept(with(tiny_gguf_pairs("gemma2"), {gguf_u32("gemma2.attention.sliding_window", 16)}));
  EXPECT_EQ(gemma2.config.attention_softcap, 50.0);
  EXPECT_EQ(gemma2.config.logit_softcap, 30.0);
  EXPECT_NEAR(gemma2.config.attention_scale, 1 / std::sqrt(8.0), 1e-12);
  EXPECT_EQ(gemma2.config.layers[0].sliding_window, 16);
  EXPECT_FALSE(gemma2.config.layers[1].sliding_window.has_value());

  const GgufConfig gemma3 = accept(with(tiny_gguf_pairs("gemma3"), {gguf_u32("gemma3.attention.sliding_window", 16),
                                                                    gguf_text("gemma3.rope.scaling.type", "linear"),
                                                                    gguf_f32("gemma3.rope.scaling.factor", 8.0F)}));
  EXPECT_EQ(gemma3.config.rope.factor, 8.0);
  EXPECT_EQ(gemma3.config.rope_local.factor, 1.0);
  EXPECT_EQ(gemma3.config.rope_local.theta, 10000.0);
  EXPECT_TRUE(gemma3.config.layers[0].local_rope);

  const GgufConfig granite = accept(with(
      tiny_gguf_pairs("granite"), {gguf_f32("granite.embedding_scale", 12.0F), gguf_f32("granite.logit_scale", 8.0F),
                                   gguf_f32("granite.attention.scale", 0.015625F)}));
  EXPECT_EQ(granite.config.embedding_scale, 12.0);
  EXPECT_EQ(granite.config.logit_scale, 0.125);
  EXPECT_EQ(granite.config.attention_scale, 0.015625);
  EXPECT_EQ(granite.config.residual_scale, 1.0);

  const GgufConfig phi3 = accept(with(tiny_gguf_pairs("phi3"), {gguf_u32("phi3.rope.dimension_count", 6),
                                                                gguf_u32("phi3.attention.sliding_window", 33)}));
  EXPECT_EQ(phi3.config.rope.rotary_dim, 6);
  EXPECT_EQ(phi3.config.layers[1].sliding_window, 33);
  EXPECT_TRUE(phi3.config.fused_qkv);

  Pairs smollm3 = without(tiny_gguf_pairs("smollm3"), "smollm3.block_count");
  smollm3.push_back(gguf_u32("smollm3.block_count", 4));
  EXPECT_FALSE(accept(smollm3).config.layers[3].rotates);
  EXPECT_TRUE(accept(tiny_gguf_pairs("qwen2")).config.qkv_bias);  // a file without them is refused with its tensors
}

}  // namespace
}  // namespace quernel::model
