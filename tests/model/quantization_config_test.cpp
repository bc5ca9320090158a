#include "model/quantization_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quernel::model {
namespace {

Result<QuantizationConfig> read(const std::string& text) {
  const Result<Json> json = parse_json(text, "config.json");
  EXPECT_TRUE(json.ok()) << text;
  return read_quantization_config(json.ok() ? *json : Json());
}

QuantizationConfig accept(const std::string& text) {
  Result<QuantizationConfig> config = read(text);
  EXPECT_TRUE(config.ok()) << to_string(config.error());
  return config.ok() ? std::move(*config) : QuantizationConfig{};
}

TEST(QuantizationConfig, GptqWithItsOlderNames) {
  const QuantizationConfig config = accept(R"({"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": true,
      "meta": {"damp_percent": 0.05, "static_groups": true}})");
  EXPECT_EQ(config.layout, PackedLayout::gptq);
  EXPECT_EQ(config.zeros, codec::GptqZeros::v1);
  EXPECT_EQ(config.info.format, "gptq");
  EXPECT_TRUE(config.info.symmetric);  // where nothing is said
  EXPECT_TRUE(config.info.act_order);
  EXPECT_TRUE(config.info.static_groups);
  EXPECT_EQ(config.info.damp, 0.05);
  const QuantizationConfig old = accept(R"({"w_bit": 3, "q_group_size": -1, "zero_point": true})");
  EXPECT_EQ(old.info.bits, 3);
  EXPECT_EQ(old.info.group_size, -1);
  EXPECT_FALSE(old.info.symmetric);
  EXPECT_EQ(accept(R"({"bits": 4, "group_size": 64, "format": "gptq_v2"})").zeros, codec::GptqZeros::v2);
  EXPECT_TRUE(accept(R"({"bits": 4, "group_size": 64, "checkpoint_format": "gptq_p"})").planar);
}

TEST(QuantizationConfig, CompressedTensors) {
  const QuantizationConfig config = accept(R"({"quant_method": "compressed-tensors", "format": "pack-quantized",
      "version": "0.20.0", "quantization_status": "compressed", "kv_cache_scheme": null, "sparsity_config": {},
      "transform_config": {"config_groups": {"R1": {"apply": [{"location": "weight_input"}]}}},
      "config_groups": {"group_0": {"targets": ["Linear"], "input_activations": null, "weights": {"num_bits": 4,
        "type": "int", "symmetric": false, "strategy": "group", "group_size": 64, "actorder": "static"}},
        "group_1": {"targets": ["re:.*down_proj"], "weights": {"num_bits": 8, "strategy": "channel"}}}})");
  EXPECT_EQ(config.layout, PackedLayout::pack_quantized);
  ASSERT_EQ(config.schemes.size(), 2U);
  EXPECT_EQ(config.info.group_size, 64);
  EXPECT_FALSE(config.info.symmetric);
  EXPECT_TRUE(config.info.act_order);
  EXPECT_EQ(config.schemes[1].bits, 8);
  EXPECT_EQ(config.schemes[1].group_size, -1);
  EXPECT_TRUE(config.schemes[1].symmetric);
}

TEST(QuantizationConfig, AwqInItsVersions) {
  const QuantizationConfig config = accept(R"({"quant_method": "awq", "bits": 4, "group_size": 64, "zero_point": true,
      "version": "gemm", "modules_to_not_convert": null})");
  EXPECT_EQ(config.layout, PackedLayout::awq);
  EXPECT_EQ(config.info.method, "awq");
  EXPECT_EQ(config.info.format, "gemm");
  EXPECT_EQ(config.info.group_size, 64);
  EXPECT_FALSE(config.info.symmetric);
  EXPECT_FALSE(config.info.act_order);
  for (const char* version : {"GEMM", "Gemm", "exllama", "ipex"}) {
    const std::string text = R"({"quant_method": "awq", "bits": 4, "group_size": -1, "version": ")";
    const QuantizationConfig same = accept(text + version + "\"}");
    EXPECT_EQ(same.layout, PackedLayout::awq);
    EXPECT_EQ(same.info.group_size, -1);
  }
  // Transformers 5 adds GPTQ's fields, whose sym says nothing here; zero_point does.
  EXPECT_FALSE(accept(R"({"quant_method": "awq", "bits": 4, "group_size": 64, "sym": true, "format": "gemm"})")
                   .schemes.front()
                   .symmetric);
  EXPECT_TRUE(accept(R"({"quant_method": "awq", "bits": 4, "group_size": 64, "zero_point": false})").info.symmetric);
}

// quant_config.json of AutoAWQ names no method.
TEST(QuantizationConfig, AutoAwqsOwnFileIsToldByItsVersion) {
  const QuantizationConfig config =
      accept(R"({"zero_point": true, "q_group_size": 128, "w_bit": 4, "version": "GEMM"})");
  EXPECT_EQ(config.layout, PackedLayout::awq);
  EXPECT_EQ(config.info.group_size, 128);
  EXPECT_EQ(accept(R"({"bits": 4, "group_size": 64, "version": "gptq_v2"})").layout, PackedLayout::gptq);
}

TEST(QuantizationConfig, WhatCannotBeReadIsSaid) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"quant_method": "vptq", "bits": 4, "group_size": 128})", "quant_method"},
      {R"({"quant_method": "awq", "bits": 8, "group_size": 128})", "bits"},
      {R"({"quant_method": "awq", "w_bit": 3, "group_size": 128})", "w_bit"},
      {R"({"quant_method": "awq", "bits": 4, "group_size": 128, "version": "GEMV"})", "version"},
      {R"({"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemv_fast"})", "version"},
      {R"({"quant_method": "awq", "bits": 4, "group_size": 128, "version": "marlin"})", "version"},
      {R"({"quant_method": "awq", "bits": 4, "group_size": 128, "format": "llm-awq"})", "format"},
      {R"({"quant_method": "awq", "bits": 4, "group_size": 128, "backend": "llm-awq"})", "backend"},
      {R"({"w_bit": 4, "q_group_size": 128, "zero_point": true, "version": "GEMV"})", "version"},
      {R"({"quant_method": "gptq", "bits": 5, "group_size": 128})", "bits"},
      {R"({"quant_method": "gptq", "bits": 4, "group_size": 128, "checkpoint_format": "marlin"})", "checkpoint_format"},
      {R"({"quant_method": "gptq", "bits": 4, "group_size": 128, "is_marlin_format": true})", "is_marlin_format"},
      {R"({"quant_method": "gptq", "bits": 4, "group_size": 128, "pack_dtype": "int16"})", "pack_dtype"},
      {R"({"quant_method": "compressed-tensors", "format": "int-quantized", "config_groups": {"g": {"weights":
          {"num_bits": 8}}}})",
       "format"},
      {R"({"quant_method": "compressed-tensors", "config_groups": {"g": {"input_activations": {"num_bits": 8},
          "weights": {"num_bits": 4}}}})",
       "input_activations"},
      {R"({"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": 4, "type": "float"}}}})",
       "weights.type"},
      {R"({"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": 4,
          "strategy": "block"}}}})",
       "strategy"},
      {R"({"quant_method": "compressed-tensors", "transform_config": {"config_groups": {"R4": {"apply":
          [{"location": "input"}]}}}, "config_groups": {"g": {"weights": {"num_bits": 4}}}})",
       "transform_config"},
      {R"({"quant_method": "compressed-tensors", "sparsity_config": {"format": "sparse-24-bitmask"},
          "config_groups": {"g": {"weights": {"num_bits": 4}}}})",
       "sparsity_config"},
  };
  for (const auto& [text, field] : cases) {
    const Result<QuantizationConfig> config = read(text);
    ASSERT_FALSE(config.ok()) << text;
    EXPECT_EQ(config.error().fault, Fault::unsupported) << text;
    EXPECT_EQ(config.error().field, field) << text;
  }
}

TEST(QuantizationConfig, HostileValuesAreRefused) {
  for (
      const char* text :
      {"[]",
       "7",
       R"({"quant_method": 4})",
       R"({"quant_method": "gptq"})",
       R"({"quant_method": "gptq", "bits": 4})",
       R"({"bits": "4", "group_size": 128})",
       R"({"bits": 4, "group_size": 0})",
       R"({"bits": 4, "group_size": -2})",
       R"({"bits": 4, "group_size": 9223372036854775807})",
       R"({"bits": 4, "group_size": 64, "sym": "yes"})",
       R"({"bits": 4, "group_size": 64, "dynamic": 3})",
       R"({"quant_method": "awq"})",
       R"({"quant_method": "awq", "bits": 4})",
       R"({"quant_method": "awq", "bits": 4, "group_size": 0})",
       R"({"quant_method": "awq", "bits": 4, "group_size": 64, "zero_point": 1})",
       R"({"quant_method": "awq", "bits": 4, "group_size": 64, "version": 2})",
       R"({"quant_method": "awq", "bits": 4, "group_size": 64, "backend": []})",
       R"({"bits": 4, "group_size": 64, "dynamic": {"a": {"bits": 99}}})",
       R"({"quant_method": "compressed-tensors"})",
       R"({"quant_method": "compressed-tensors", "config_groups": {}})",
       R"({"quant_method": "compressed-tensors", "config_groups": {"g": 3}})",
       R"({"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": []}}})",
       R"({"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": 4, "strategy": "group"}}}})"}) {
    EXPECT_FALSE(read(text).ok()) << text;
  }
}

TEST(QuantizationConfig, SchemesAreMatchedByShape) {
  const QuantizationConfig config = accept(R"({"bits": 4, "group_size": 64, "sym": true,
      "dynamic": {"x": {"bits": 8, "sym": false}, "y": {"sym": false}}})");
  const PackedShapes four{.rows = 8, .cols = 128, .packed_words = 16, .num_groups = 2, .symmetric = std::nullopt};
  ASSERT_TRUE(match_scheme(config, four).ok());
  EXPECT_FALSE(match_scheme(config, four)->symmetric);  // either is stated: the stored zeros decide
  PackedShapes eight = four;
  eight.packed_words = 32;
  EXPECT_EQ(match_scheme(config, eight)->bits, 8);
  PackedShapes other = four;
  other.num_groups = 1;
  EXPECT_FALSE(match_scheme(config, other).ok());
}

// 3-bit codes of before compressed-tensors 0.17: ten to a word.
TEST(QuantizationConfig, OlderPackingOfOddBitsFitsToo) {
  const QuantizationConfig config = accept(R"({"quant_method": "compressed-tensors", "config_groups": {"g": {"weights":
      {"num_bits": 3, "strategy": "group", "group_size": 32}}}})");
  EXPECT_TRUE(
      match_scheme(config, {.rows = 8, .cols = 128, .packed_words = 12, .num_groups = 4, .symmetric = true}).ok());
  EXPECT_TRUE(
      match_scheme(config, {.rows = 8, .cols = 128, .packed_words = 13, .num_groups = 4, .symmetric = true}).ok());
  EXPECT_FALSE(
      match_scheme(config, {.rows = 8, .cols = 128, .packed_words = 14, .num_groups = 4, .symmetric = true}).ok());
}

}  // namespace
}  // namespace quernel::model
