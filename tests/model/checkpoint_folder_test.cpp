#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

#include "model/checkpoint.h"
#include "model/tiny_models.h"
#include "tensor/half.h"

namespace quernel::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const char* const kUp = "model.layers.1.mlp.up_proj.weight";

Checkpoint open(const std::string& path) {
  Result<Checkpoint> checkpoint = Checkpoint::open(path);
  if (!checkpoint.ok()) {
    ADD_FAILURE() << to_string(checkpoint.error());
    std::abort();
  }
  return std::move(*checkpoint);
}

Error refusal(const std::string& path) {
  const Result<Checkpoint> checkpoint = Checkpoint::open(path);
  EXPECT_FALSE(checkpoint.ok());
  return checkpoint.ok() ? Error{} : checkpoint.error();
}

TEST(CheckpointFolder, ReadsWhatWasWritten) {
  const test::TempFolder folder;
  const Json config = tiny_config();
  const TinyTensors tensors = tiny_weights(config);
  write_folder(folder.path(), config, tensors);
  const Checkpoint checkpoint = open(folder.path());
  EXPECT_EQ(checkpoint.kind(), CheckpointKind::hugging_face);
  EXPECT_EQ(checkpoint.tensors().size(), tensors.size());
  EXPECT_THAT(checkpoint.extra_tensors(), IsEmpty());
  EXPECT_EQ(checkpoint.config_obstacle(), "");
  EXPECT_EQ(checkpoint.gguf(), nullptr);
  EXPECT_EQ(checkpoint.config_json(), config);
  EXPECT_EQ(checkpoint.config().stored_dtype, "float32");
  EXPECT_FALSE(checkpoint.quantization().has_value());
  for (const auto& [name, tensor] : tensors) {
    ASSERT_TRUE(checkpoint.find(name)->direct);
    const Result<TensorView> view = checkpoint.view(name);
    ASSERT_TRUE(view.ok());
    EXPECT_EQ(view->shape, tensor.shape);
    EXPECT_EQ(std::memcmp(view->bytes.data(), tensor.bytes.data(), tensor.bytes.size()), 0) << name;
    const Result<Matrix> matrix = checkpoint.read(name);
    ASSERT_TRUE(matrix.ok());
    EXPECT_EQ(std::memcmp(matrix->data(), tensor.bytes.data(), tensor.bytes.size()), 0) << name;
    EXPECT_TRUE(checkpoint.check_finite(name).ok());
    checkpoint.release(name);
  }
  EXPECT_THAT(checkpoint.files(), ElementsAre(folder / "model.safetensors", folder / "config.json"));
}

TEST(CheckpointFolder, ShardsAndHalfTypes) {
  const test::TempFolder folder;
  const Json config = tiny_config();
  TinyTensors tensors = tiny_weights(config);
  std::vector<std::uint16_t> halves, brains;
  for (const float value : tiny_values(kUp, 64 * 32)) {
    halves.push_back(float_to_f16(value));
    brains.push_back(float_to_bf16(value));
  }
  tensors[kUp] = tiny_tensor(DType::f16, {64, 32}, halves);
  tensors["model.layers.0.mlp.up_proj.weight"] = tiny_tensor(DType::bf16, {64, 32}, brains);
  write_folder(folder.path(), config, tensors, {.max_shard_bytes = 20000});
  const Checkpoint checkpoint = open(folder.path());
  EXPECT_GT(checkpoint.files().size(), 3U);
  const Result<Matrix> half = checkpoint.read(kUp);
  const Result<Matrix> brain = checkpoint.read("model.layers.0.mlp.up_proj.weight");
  ASSERT_TRUE(half.ok() && brain.ok());
  const std::vector<float> wanted = tiny_values(kUp, 64 * 32);
  EXPECT_TRUE(std::equal(wanted.begin(), wanted.end(), half->data()));
  EXPECT_TRUE(std::equal(wanted.begin(), wanted.end(), brain->data()));
  EXPECT_EQ(checkpoint.find(kUp)->stored_type, "F16");
}

TEST(CheckpointFolder, MissingTensorIsNamedWithItsShape) {
  const test::TempFolder folder;
  TinyTensors tensors = tiny_weights(tiny_config());
  tensors.erase(kUp);
  write_folder(folder.path(), tiny_config(), tensors);
  const Error error = refusal(folder.path());
  EXPECT_EQ(error.fault, Fault::corrupt);
  EXPECT_EQ(error.tensor, kUp);
  EXPECT_EQ(error.expected, "[64, 32]");
}

TEST(CheckpointFolder, WrongShapeIsNamedWithBoth) {
  const test::TempFolder folder;
  TinyTensors tensors = tiny_weights(tiny_config());
  tensors[kUp] = tiny_floats(kUp, {32, 64});
  write_folder(folder.path(), tiny_config(), tensors);
  const Error error = refusal(folder.path());
  EXPECT_EQ(error.tensor, kUp);
  EXPECT_EQ(error.expected, "[64, 32]");
  EXPECT_EQ(error.found, "[32, 64]");
  EXPECT_EQ(error.file, folder / "model.safetensors");
}

TEST(CheckpointFolder, IntegerWeightIsNotTakenForADenseOne) {
  const test::TempFolder folder;
  TinyTensors tensors = tiny_weights(tiny_config());
  tensors[kUp] = tiny_tensor(DType::i8, {64, 32}, std::vector<std::int8_t>(64 * 32, 1));
  write_folder(folder.path(), tiny_config(), tensors);
  const Error error = refusal(folder.path());
  EXPECT_EQ(error.fault, Fault::unsupported);
  EXPECT_EQ(error.tensor, kUp);
}

TEST(CheckpointFolder, UnknownTensorsAreListedOnly) {
  const test::TempFolder folder;
  TinyTensors tensors = tiny_weights(tiny_config());
  tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = tiny_floats("f", {4});
  tensors["mtp.weight"] = tiny_tensor(DType::i64, {1, 1, 2}, std::vector<std::int64_t>{1, 2});
  write_folder(folder.path(), tiny_config(), tensors);
  const Checkpoint checkpoint = open(folder.path());
  EXPECT_THAT(checkpoint.extra_tensors(),
              ::testing::UnorderedElementsAre("mtp.weight", "model.layers.0.self_attn.rotary_emb.inv_freq"));
  EXPECT_FALSE(checkpoint.find("mtp.weight")->direct);
  EXPECT_FALSE(checkpoint.read("mtp.weight").ok());
}

TEST(CheckpointFolder, TiedHeadMayBeThereOrNot) {
  Json config = tiny_config();
  config["tie_word_embeddings"] = true;
  TinyTensors tensors = tiny_weights(config);
  EXPECT_FALSE(tensors.contains("lm_head.weight"));
  for (const bool shipped : {false, true}) {
    const test::TempFolder folder;
    if (shipped) tensors["lm_head.weight"] = tiny_floats("lm_head.weight", {32, 32});
    write_folder(folder.path(), config, tensors);
    const Checkpoint checkpoint = open(folder.path());
    EXPECT_THAT(checkpoint.extra_tensors(), IsEmpty());
    const Result<Matrix> head = checkpoint.read_weight("lm_head");
    ASSERT_TRUE(head.ok());
    EXPECT_EQ((*head)(3, 5), tiny_values(kEmbeddingTensor, 32 * 32)[3 * 32 + 5]);
  }
  const test::TempFolder folder;
  tensors.erase("lm_head.weight");
  config["tie_word_embeddings"] = false;
  write_folder(folder.path(), config, tensors);
  EXPECT_THAT(refusal(folder.path()).hint, HasSubstr("tie_word_embeddings"));
}

TEST(CheckpointFolder, BiasesAreThoseOfTheConfiguration) {
  const test::TempFolder folder;
  const Json config = tiny_config("Qwen2ForCausalLM", "qwen2");
  TinyTensors tensors = tiny_weights(config);
  const std::string stray = "model.layers.0.self_attn.o_proj.bias";
  tensors[stray] = tiny_floats(stray, {32});
  write_folder(folder.path(), config, tensors);
  const Checkpoint checkpoint = open(folder.path());
  const auto bias = checkpoint.read_bias("model.layers.1.self_attn.k_proj");
  ASSERT_TRUE(bias.ok() && bias->has_value());
  EXPECT_EQ((*bias)->cols(), 16);
  const auto none = checkpoint.read_bias("model.layers.0.self_attn.o_proj");
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none->has_value());
  EXPECT_THAT(checkpoint.extra_tensors(), ElementsAre(stray));
  tensors.erase("model.layers.1.self_attn.k_proj.bias");
  const test::TempFolder broken;
  write_folder(broken.path(), config, tensors);
  EXPECT_EQ(refusal(broken.path()).tensor, "model.layers.1.self_attn.k_proj.bias");
}

TEST(CheckpointFolder, PrefixesOfWrappersAreTakenAway) {
  for (const std::string prefix : {"language_model.model.", "model.language_model.", ""}) {
    const test::TempFolder folder;
    TinyTensors tensors;
    for (const auto& [name, tensor] : tiny_weights(tiny_config())) {
      const bool head = name == "lm_head.weight";
      const std::string outer = prefix.starts_with("language_model.") ? "language_model." : "";
      tensors[head ? outer + name : prefix + name.substr(6)] = tensor;
    }
    tensors["vision_tower.patch.weight"] = tiny_floats("v", {2, 2});
    write_folder(folder.path(), tiny_config(), tensors);
    const Checkpoint checkpoint = open(folder.path());
    EXPECT_NE(checkpoint.find(kUp), nullptr) << prefix;
    EXPECT_NE(checkpoint.find("lm_head.weight"), nullptr) << prefix;
    EXPECT_EQ(checkpoint.extra_tensors().size(), 1U);
  }
}

TEST(CheckpointFolder, TwoNamesOfOneTensorAreRefused) {
  const test::TempFolder folder;
  TinyTensors tensors = tiny_weights(tiny_config());
  tensors["lm_head.weight"] = tiny_floats("a", {32, 32});
  TinyTensors renamed;
  for (const auto& [name, tensor] : tensors) renamed["language_model." + name] = tensor;
  renamed["lm_head.weight"] = tiny_floats("b", {32, 32});
  write_folder(folder.path(), tiny_config(), renamed);
  EXPECT_EQ(refusal(folder.path()).tensor, "lm_head.weight");
}

TEST(CheckpointFolder, NonFiniteWeightsAreFound) {
  const test::TempFolder folder;
  TinyTensors tensors = tiny_weights(tiny_config());
  std::vector<float> values = tiny_values(kUp, 64 * 32);
  values[32 * 40 + 7] = std::numeric_limits<float>::infinity();
  tensors[kUp] = tiny_tensor(DType::f32, {64, 32}, values);
  write_folder(folder.path(), tiny_config(), tensors);
  const Checkpoint checkpoint = open(folder.path());
  const Status status = checkpoint.check_finite(kUp);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().tensor, kUp);
  EXPECT_EQ(status.error().found, "inf in row 40, column 7");
}

TEST(CheckpointFolder, StopTokensOfGenerationConfigJoin) {
  const test::TempFolder folder;
  write_folder(folder.path(), tiny_config(), tiny_weights(tiny_config()));
  test::write_text(folder / "generation_config.json", R"({"eos_token_id": [2, 9, 99]})");
  test::write_text(folder / "tokenizer.json", "{}");
  test::write_text(folder / "LICENSE.txt", "free");
  test::write_text(folder / "notes.txt", "no");
  const Checkpoint checkpoint = open(folder.path());
  EXPECT_THAT(checkpoint.config().eos_token_ids, ElementsAre(2, 9));
  EXPECT_THAT(checkpoint.side_files(), ElementsAre("LICENSE.txt", "generation_config.json", "tokenizer.json"));
  test::write_text(folder / "generation_config.json", R"({"eos_token_id": "x"})");
  EXPECT_EQ(refusal(folder.path()).file, folder / "generation_config.json");
}

TEST(CheckpointFolder, WhatIsNoModelIsRefused) {
  const test::TempFolder folder;
  EXPECT_EQ(refusal(folder / "absent").fault, Fault::not_found);
  EXPECT_EQ(refusal(folder.path()).fault, Fault::not_found);
  test::write_text(folder / "config.json", "{");
  EXPECT_EQ(refusal(folder.path()).fault, Fault::corrupt);
  EXPECT_EQ(refusal(folder.path()).file, folder / "config.json");
  test::write_text(folder / "config.json", dump_json(tiny_config()));
  EXPECT_EQ(refusal(folder.path()).fault, Fault::not_found);  // no weights
  EXPECT_EQ(refusal(folder / "config.json").fault, Fault::unsupported);
  test::write_text(folder / "model.gguf", "no magic here");
  EXPECT_EQ(refusal(folder / "model.gguf").fault, Fault::corrupt);
}

TEST(CheckpointFolder, TruncatedConfigIsRefusedAtEveryByte) {
  const test::TempFolder folder;
  write_folder(folder.path(), tiny_config(), tiny_weights(tiny_config()));
  const std::string whole = test::read_text(folder / "config.json");
  for (std::size_t length = 0; length < whole.size(); ++length) {
    test::write_text(folder / "config.json", whole.substr(0, length));
    const Error error = refusal(folder.path());
    ASSERT_EQ(error.fault, Fault::corrupt) << length;
    ASSERT_EQ(error.file, folder / "config.json");
  }
}

}  // namespace
}  // namespace quernel::model
