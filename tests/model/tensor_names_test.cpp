#include "model/tensor_names.h"

#include <gtest/gtest.h>

#include <set>

#include "model/architectures.h"
#include "model/tiny_models.h"

namespace quernel::model {
namespace {

ModelConfig config_for(const Architecture& row) {
  return config_of(tiny_config(std::string(row.hf_name), std::string(row.hf_model_type)));
}

TEST(TensorNames, EveryTensorOfEveryArchitectureHasItsOwnGgufName) {
  for (const Architecture& row : architectures()) {
    const ModelConfig config = config_for(row);
    std::set<std::string> seen;
    for (const ExpectedTensor& tensor : expected_tensors(config)) {
      const std::string name = gguf_name_of(config, tensor.name);
      EXPECT_FALSE(name.empty()) << row.family << " " << tensor.name;
      EXPECT_TRUE(seen.insert(name).second) << row.family << " " << name;
      EXPECT_EQ(gguf_roles(config).at(name).hf_name, tensor.name);
    }
  }
}

TEST(TensorNames, SameHuggingFaceNameDifferentPlace) {
  const std::string norm = "model.layers.1.post_attention_layernorm.weight";
  Json json = tiny_config();
  EXPECT_EQ(gguf_name_of(config_of(json), norm), "blk.1.ffn_norm.weight");
  json = tiny_config("Gemma2ForCausalLM", "gemma2");
  EXPECT_EQ(gguf_name_of(config_of(json), norm), "blk.1.post_attention_norm.weight");
  EXPECT_EQ(gguf_name_of(config_of(json), "model.layers.0.pre_feedforward_layernorm.weight"), "blk.0.ffn_norm.weight");
}

TEST(TensorNames, NamesWithoutAGgufWordAreEmpty) {
  const ModelConfig config = config_of(tiny_config());
  for (const char* name :
       {"", "x", "model.layers.", "model.layers.0", "model.layers.0.weight", "model.layers.x.mlp.up_proj.weight",
        "model.layers.99999999999999999999.mlp.up_proj.weight", "model.layers.0.mlp.experts.weight"})
    EXPECT_EQ(gguf_name_of(config, name), "") << name;
}

TEST(TensorNames, PairsAreSplitIntoHalves) {
  // Heads of 6 rows: pairs (0,1) (2,3) (4,5) of the file are rows 0, 3; 1, 4; 2, 5 of a head.
  const std::int64_t wanted[] = {0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11};
  for (std::int64_t row = 0; row < 12; ++row) EXPECT_EQ(gguf_pair_row(row, 6), wanted[row]) << row;
}

TEST(TensorNames, OnlySomeFamiliesPermuteOrShift) {
  for (const Architecture& row : architectures()) {
    const auto roles = gguf_roles(config_for(row));
    const std::string family(row.family);
    const bool pairs = family == "llama" || family == "smollm3" || family == "granite";
    const bool gemma = family.starts_with("gemma");
    if (family == "mistral") continue;  // has no GGUF name of its own
    if (family != "phi3") {
      EXPECT_EQ(roles.at("blk.0.attn_q.weight").pair_dim, pairs ? 8 : 0) << family;
      EXPECT_EQ(roles.at("blk.0.attn_k.weight").pair_dim, pairs ? 8 : 0) << family;
      EXPECT_EQ(roles.at("blk.0.attn_v.weight").pair_dim, 0) << family;
    }
    EXPECT_EQ(roles.at("output_norm.weight").minus_one, gemma) << family;
    EXPECT_FALSE(roles.at("token_embd.weight").minus_one);
  }
}

TEST(TensorNames, PrefixesOfWrappers) {
  EXPECT_EQ(plain_hf_name("model.layers.0.x", "model."), "model.layers.0.x");
  EXPECT_EQ(plain_hf_name("lm_head.weight", "model."), "lm_head.weight");
  EXPECT_EQ(plain_hf_name("language_model.model.norm.weight", "language_model.model."), "model.norm.weight");
  EXPECT_EQ(plain_hf_name("language_model.lm_head.weight", "language_model.model."), "lm_head.weight");
  EXPECT_EQ(plain_hf_name("model.language_model.norm.weight", "model.language_model."), "model.norm.weight");
  EXPECT_EQ(plain_hf_name("vision_tower.lm_head.weight", "model."), "vision_tower.lm_head.weight");
  EXPECT_EQ(plain_hf_name("norm.weight", ""), "model.norm.weight");
  EXPECT_EQ(plain_hf_name("lm_head.weight", ""), "lm_head.weight");
}

}  // namespace
}  // namespace quernel::model
