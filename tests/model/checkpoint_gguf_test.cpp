#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "model/architectures.h"
#include "model/checkpoint.h"
#include "model/tensor_names.h"
#include "model/tiny_models.h"
#include "support/shared_data.h"

namespace quernel::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::int64_t kHeadDim = 8;

// Rows as a GGUF file of the llama family has them, made the way its converter does it: halves of each head interleaved.
std::vector<float> in_pairs(const std::vector<float>& values, std::int64_t cols) {
  std::vector<float> out(values.size());
  const auto rows = static_cast<std::int64_t>(values.size()) / cols;
  for (std::int64_t head = 0; head < rows / kHeadDim; ++head)
    for (std::int64_t half = 0; half < 2; ++half)
      for (std::int64_t i = 0; i < kHeadDim / 2; ++i)
        for (std::int64_t col = 0; col < cols; ++col)
          out[static_cast<std::size_t>((head * kHeadDim + 2 * i + half) * cols + col)] =
              values[static_cast<std::size_t>((head * kHeadDim + half * kHeadDim / 2 + i) * cols + col)];
  return out;
}

struct Variant {
  const char* family;
  const char* architecture;
  const char* type;
  bool pairs;
  bool plus_one;
};

TinyTensors gguf_tensors(const Json& config, const Variant& variant) {
  TinyTensors tensors;
  for (const ExpectedTensor& tensor : expected_tensors(config_of(config))) {
    std::vector<float> values = tiny_values(tensor.name, count_of(tensor.shape));
    const bool rotates =
        tensor.name.find("q_proj") != std::string::npos || tensor.name.find("k_proj") != std::string::npos;
    if (variant.pairs && rotates) values = in_pairs(values, tensor.shape.size() == 2 ? tensor.shape[1] : 1);
    if (variant.plus_one && tensor.name.ends_with("norm.weight"))
      for (float& value : values) value += 1.0F;
    tensors[gguf_name_of(config_of(config), tensor.name)] = tiny_tensor(DType::f32, tensor.shape, values);
  }
  return tensors;
}

void expect_same_values(const Checkpoint& checkpoint, const Json& config) {
  for (const ExpectedTensor& tensor : expected_tensors(config_of(config))) {
    const Result<Matrix> matrix = checkpoint.read(tensor.name);
    ASSERT_TRUE(matrix.ok()) << tensor.name;
    const std::vector<float> wanted = tiny_values(tensor.name, count_of(tensor.shape));
    ASSERT_EQ(matrix->size(), static_cast<std::int64_t>(wanted.size()));
    EXPECT_TRUE(std::equal(wanted.begin(), wanted.end(), matrix->data())) << tensor.name;
    EXPECT_EQ(checkpoint.find(tensor.name)->shape, tensor.shape);
  }
}

class GgufFamilies : public ::testing::TestWithParam<Variant> {};

TEST_P(GgufFamilies, NamesAndValuesEqualTheHuggingFaceForm) {
  const Variant& variant = GetParam();
  Json config = tiny_config(variant.architecture, variant.type);
  config["tie_word_embeddings"] = false;
  const test::TempFolder folder;
  auto pairs = tiny_gguf_pairs(variant.family);
  if (std::string(variant.family) == "gemma3") pairs.push_back(gguf_u32("gemma3.attention.sliding_window", 16));
  write_gguf(folder / "tiny.gguf", pairs, gguf_tensors(config, variant));
  const Result<Checkpoint> checkpoint = Checkpoint::open(folder / "tiny.gguf");
  ASSERT_TRUE(checkpoint.ok()) << to_string(checkpoint.error());
  EXPECT_EQ(checkpoint->kind(), CheckpointKind::gguf);
  EXPECT_EQ(checkpoint->config().family, variant.family);
  EXPECT_EQ(checkpoint->config().architecture, variant.architecture);
  EXPECT_EQ(checkpoint->config_obstacle(), "");
  EXPECT_THAT(checkpoint->extra_tensors(), IsEmpty());
  EXPECT_NE(checkpoint->gguf(), nullptr);
  expect_same_values(*checkpoint, config);
  const TensorInfo* q = checkpoint->find("model.layers.0.self_attn.q_proj.weight");
  if (q != nullptr) {
    EXPECT_EQ(q->direct, !variant.pairs);
  }
  EXPECT_EQ(checkpoint->find("model.norm.weight")->direct, !variant.plus_one);
}

INSTANTIATE_TEST_SUITE_P(All, GgufFamilies,
                         ::testing::Values(Variant{"llama", "LlamaForCausalLM", "llama", true, false},
                                           Variant{"qwen2", "Qwen2ForCausalLM", "qwen2", false, false},
                                           Variant{"qwen3", "Qwen3ForCausalLM", "qwen3", false, false},
                                           Variant{"gemma2", "Gemma2ForCausalLM", "gemma2", false, true},
                                           Variant{"gemma3", "Gemma3ForCausalLM", "gemma3_text", false, true},
                                           Variant{"phi3", "Phi3ForCausalLM", "phi3", false, false},
                                           Variant{"smollm3", "SmolLM3ForCausalLM", "smollm3", true, false},
                                           Variant{"olmo2", "Olmo2ForCausalLM", "olmo2", false, false},
                                           Variant{"granite", "GraniteForCausalLM", "granite", true, false}),
                         [](const auto& which) { return which.param.family; });

TEST(CheckpointGguf, BiasesOfPairedRowsMoveWithThem) {
  Json config = tiny_config();
  config["attention_bias"] = true;
  const Variant llama{"llama", "LlamaForCausalLM", "llama", true, false};
  TinyTensors tensors = gguf_tensors(config, llama);
  const test::TempFolder folder;
  write_gguf(folder / "bias.gguf", tiny_gguf_pairs("llama"), tensors);
  const Result<Checkpoint> checkpoint = Checkpoint::open(folder / "bias.gguf");
  ASSERT_TRUE(checkpoint.ok()) << to_string(checkpoint.error());
  expect_same_values(*checkpoint, config);
  EXPECT_TRUE(checkpoint->config_json()["attention_bias"].get<bool>());
  EXPECT_FALSE(checkpoint->find("model.layers.0.self_attn.k_proj.bias")->direct);

  // Biases on q, k, v alone: a Hugging Face Llama has no word for them.
  for (const int layer : {0, 1}) tensors.erase("blk." + std::to_string(layer) + ".attn_output.bias");
  write_gguf(folder / "odd.gguf", tiny_gguf_pairs("llama"), tensors);
  const Result<Checkpoint> odd = Checkpoint::open(folder / "odd.gguf");
  ASSERT_TRUE(odd.ok()) << to_string(odd.error());
  EXPECT_THAT(odd->config_obstacle(), HasSubstr("biases"));
  EXPECT_TRUE(odd->read_bias("model.layers.1.self_attn.v_proj")->has_value());
  EXPECT_FALSE(odd->read_bias("model.layers.1.self_attn.o_proj")->has_value());
}

TEST(CheckpointGguf, BlocksAreDecodedRowByRow) {
  // q of one layer as Q8_0: 32 columns are one block; row r has scale 1 and quants r + column - 40.
  const Json config = tiny_config();
  TinyTensors tensors = gguf_tensors(config, {"llama", "", "", true, false});
  test::GgufBuilder gguf;
  gguf.pairs = tiny_gguf_pairs("llama");
  for (const auto& [name, tensor] : tensors) {
    const bool packed = name == "blk.0.attn_q.weight";
    std::vector<std::uint64_t> dims;
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size)
      dims.push_back(static_cast<std::uint64_t>(*size));
    gguf.tensors.push_back(test::tensor_bytes(name, dims, packed ? 8 : 0, gguf.data.size()));
    if (!packed) gguf.data += tensor.bytes;
    for (int row = 0; packed && row < 32; ++row) {
      gguf.data += std::string("\x00\x3C", 2);
      for (int col = 0; col < 32; ++col) gguf.data += static_cast<char>(row + col - 40);
    }
    while (gguf.data.size() % 32 != 0) gguf.data += '\0';
  }
  const test::TempFolder folder;
  test::write_text(folder / "q8.gguf", gguf.build());
  const Result<Checkpoint> checkpoint = Checkpoint::open(folder / "q8.gguf");
  ASSERT_TRUE(checkpoint.ok()) << to_string(checkpoint.error());
  const TensorInfo* info = checkpoint->find("model.layers.0.self_attn.q_proj.weight");
  EXPECT_EQ(info->stored_type, "Q8_0");
  EXPECT_FALSE(info->direct);
  const Result<Matrix> q = checkpoint->read_weight("model.layers.0.self_attn.q_proj");
  ASSERT_TRUE(q.ok());
  EXPECT_EQ((*q)(0, 0), -40.0F);
  EXPECT_EQ((*q)(1, 0), -38.0F);  // row 1 of the head's first half stands in row 2
  EXPECT_EQ((*q)(4, 5), -34.0F);  // row 0 of the second half in row 1
  EXPECT_EQ((*q)(15, 31), 6.0F);  // the last row of the second head stays last
}

TEST(CheckpointGguf, WhatIsMissingOrWrongIsNamed) {
  const Json config = tiny_config();
  const TinyTensors whole = gguf_tensors(config, {"llama", "", "", true, false});
  const test::TempFolder folder;
  const auto refusal = [&](const TinyTensors& tensors) {
    write_gguf(folder / "broken.gguf", tiny_gguf_pairs("llama"), tensors);
    const Result<Checkpoint> checkpoint = Checkpoint::open(folder / "broken.gguf");
    EXPECT_FALSE(checkpoint.ok());
    return checkpoint.ok() ? Error{} : checkpoint.error();
  };
  TinyTensors tensors = whole;
  tensors.erase("blk.1.ffn_up.weight");
  EXPECT_EQ(refusal(tensors).tensor, "model.layers.1.mlp.up_proj.weight");
  tensors = whole;
  tensors["blk.1.ffn_up.weight"] = tiny_floats("x", {64, 16});
  EXPECT_EQ(refusal(tensors).found, "[64, 16]");
  tensors = whole;
  tensors.erase("token_embd.weight");
  EXPECT_EQ(refusal(tensors).tensor, "token_embd.weight");
  tensors = whole;
  tensors["token_embd.weight"] = tiny_floats("x", {32});
  EXPECT_EQ(refusal(tensors).fault, Fault::corrupt);
  tensors = whole;
  tensors["blk.0.attn_rot_embd.weight"] = tiny_floats("x", {4});
  write_gguf(folder / "extra.gguf", tiny_gguf_pairs("llama"), tensors);
  const Result<Checkpoint> checkpoint = Checkpoint::open(folder / "extra.gguf");
  ASSERT_TRUE(checkpoint.ok());
  EXPECT_THAT(checkpoint->extra_tensors(), ElementsAre("blk.0.attn_rot_embd.weight"));
}

TEST(CheckpointGguf, TruncationAtEveryStepIsRefused) {
  const test::TempFolder folder;
  const Json config = tiny_config();
  write_gguf(folder / "whole.gguf", tiny_gguf_pairs("llama"), gguf_tensors(config, {"llama", "", "", true, false}));
  const std::string whole = test::read_text(folder / "whole.gguf");
  for (std::size_t length = 0; length < whole.size(); length += length < 3000 ? 7 : 997) {
    test::write_text(folder / "cut.gguf", whole.substr(0, length));
    ASSERT_FALSE(Checkpoint::open(folder / "cut.gguf").ok()) << length;
  }
}

// The real model: figures of its card, every tensor readable.
TEST(CheckpointGguf, RealModelOpens) {
  const auto path = test::test_model();
  if (!path) GTEST_SKIP() << "QUERNEL_TEST_MODEL is not set";
  const Result<Checkpoint> checkpoint = Checkpoint::open(*path);
  ASSERT_TRUE(checkpoint.ok()) << to_string(checkpoint.error());
  const ModelConfig& config = checkpoint->config();
  EXPECT_EQ(config.family, "llama");
  EXPECT_EQ(config.num_layers, 30);
  EXPECT_EQ(config.hidden_size, 576);
  EXPECT_EQ(config.intermediate_size, 1536);
  EXPECT_EQ(config.num_heads, 9);
  EXPECT_EQ(config.num_kv_heads, 3);
  EXPECT_EQ(config.head_dim, 64);
  EXPECT_EQ(config.vocab_size, 49152);
  EXPECT_EQ(config.max_positions, 8192);
  EXPECT_TRUE(config.tie_word_embeddings);
  EXPECT_EQ(config.rope.theta, 100000.0);
  EXPECT_EQ(config.rms_norm_eps, 1e-5);
  EXPECT_EQ(config.bos_token_id, 1);
  EXPECT_THAT(config.eos_token_ids, ElementsAre(2));
  EXPECT_THAT(checkpoint->extra_tensors(), IsEmpty());
  EXPECT_EQ(checkpoint->tensors().size(), 272U);
  std::int64_t q4 = 0;
  for (const TensorInfo& info : checkpoint->tensors()) {
    q4 += info.stored_type == "Q4_1" ? 1 : 0;
    ASSERT_TRUE(checkpoint->check_finite(info.name).ok()) << info.name;
  }
  EXPECT_EQ(q4, 210);
  EXPECT_EQ(checkpoint->find(kEmbeddingTensor)->stored_type, "Q8_0");
}

}  // namespace
}  // namespace quernel::model
