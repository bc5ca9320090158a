#include "model/packed_module.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codec/int_pack_compressed_tensors.h"
#include "codec/int_pack_gptq.h"
#include "model/packed_samples.h"
#include "tensor/half.h"

namespace quernel::model {
namespace {

using codec::IntegerMatrix;
using ::testing::HasSubstr;

void add_gptq(TinyTensors& tensors, const IntegerMatrix& matrix, codec::GptqZeros zeros) {
  const auto packed = codec::pack_gptq(matrix, zeros);
  ASSERT_TRUE(packed.ok());
  const std::string name = kModule;
  tensors.erase(name + ".weight");
  const std::int64_t groups = matrix.num_groups();
  tensors[name + ".qweight"] = {DType::i32, {codec::packed_words(32, matrix.bits), 64}, word_bytes(packed->qweight)};
  tensors[name + ".qzeros"] = {DType::i32, {groups, codec::packed_words(64, matrix.bits)}, word_bytes(packed->qzeros)};
  tensors[name + ".scales"] = tiny_tensor(DType::f16, {groups, 64}, packed->scales);
  tensors[name + ".g_idx"] = tiny_tensor(DType::i32, {32}, packed->g_idx);
}

void add_pack_quantized(TinyTensors& tensors, const IntegerMatrix& matrix) {
  const auto packed = codec::pack_quantized(matrix);
  ASSERT_TRUE(packed.ok());
  const std::string name = kModule;
  tensors.erase(name + ".weight");
  const std::int64_t groups = matrix.num_groups();
  tensors[name + ".weight_packed"] = {
      DType::i32, {64, codec::packed_words(32, matrix.bits)}, word_bytes(packed->weight_packed)};
  tensors[name + ".weight_scale"] = {
      matrix.scale_dtype,
      {64, groups},
      {reinterpret_cast<const char*>(packed->weight_scale.data()), packed->weight_scale.size()}};
  tensors[name + ".weight_shape"] = tiny_tensor(DType::i64, {2}, std::vector<std::int64_t>{64, 32});
  if (!matrix.symmetric)
    tensors[name + ".weight_zero_point"] = {
        DType::i32, {codec::packed_words(64, matrix.bits), groups}, word_bytes(packed->weight_zero_point)};
}

Json gptq_config(int bits, std::int64_t group_size, bool symmetric, const std::string& format) {
  Json json = tiny_config();
  json["quantization_config"] = Json{{"quant_method", "gptq"}, {"bits", bits},      {"group_size", group_size},
                                     {"sym", symmetric},       {"desc_act", false}, {"checkpoint_format", format}};
  return json;
}

Json compressed_config(int bits, std::int64_t group_size, bool symmetric) {
  Json weights{{"num_bits", bits},
               {"type", "int"},
               {"symmetric", symmetric},
               {"strategy", group_size < 0 ? "channel" : "group"}};
  if (group_size > 0) weights["group_size"] = group_size;
  Json json = tiny_config();
  json["quantization_config"] = Json{{"quant_method", "compressed-tensors"},
                                     {"format", "pack-quantized"},
                                     {"config_groups", {{"group_0", {{"targets", {"Linear"}}, {"weights", weights}}}}},
                                     {"ignore", {"lm_head"}}};
  return json;
}

class PackedBits : public ::testing::TestWithParam<int> {};

TEST_P(PackedBits, GptqComesBackInBothFormats) {
  for (const bool symmetric : {false, true}) {
    for (const std::string format : {"gptq", "gptq_v2"}) {
      TinyTensors tensors = tiny_weights(tiny_config());
      const IntegerMatrix matrix = sample(GetParam(), 16, symmetric);
      add_gptq(tensors, matrix, format == "gptq" ? codec::GptqZeros::v1 : codec::GptqZeros::v2);
      expect_module(gptq_config(GetParam(), 16, symmetric, format), tensors, matrix);
    }
  }
}

TEST_P(PackedBits, PackQuantizedComesBack) {
  for (const bool symmetric : {false, true}) {
    for (const std::int64_t group_size : {std::int64_t{16}, std::int64_t{-1}}) {
      for (const DType scales : {DType::f16, DType::bf16, DType::f32}) {
        TinyTensors tensors = tiny_weights(tiny_config());
        const IntegerMatrix matrix = sample(GetParam(), group_size < 0 ? 32 : group_size, symmetric, scales);
        add_pack_quantized(tensors, matrix);
        expect_module(compressed_config(GetParam(), group_size, symmetric), tensors, matrix);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, PackedBits, ::testing::Values(2, 3, 4, 8));

TEST(PackedModule, SymmetricGptqIgnoresStoredZeros) {
  TinyTensors tensors = tiny_weights(tiny_config());
  const IntegerMatrix matrix = sample(4, 16, true);
  add_gptq(tensors, matrix, codec::GptqZeros::v2);  // labelled v1 below: a mistake seen in published models
  expect_module(gptq_config(4, 16, true, "gptq"), tensors, matrix);
}

TEST(PackedModule, ActOrderAndMissingGroupIndex) {
  IntegerMatrix matrix = sample(4, 16, false);
  for (std::size_t i = 0; i < matrix.group_of_column.size(); ++i)
    matrix.group_of_column[i] = static_cast<std::int32_t>(i % 2);
  TinyTensors tensors = tiny_weights(tiny_config());
  add_gptq(tensors, matrix, codec::GptqZeros::v2);
  Json config = gptq_config(4, 16, false, "gptq_v2");
  config["quantization_config"]["desc_act"] = true;
  expect_module(config, tensors, matrix);
  tensors.erase(std::string(kModule) + ".g_idx");
  matrix.group_of_column = codec::contiguous_groups(32, 16);
  expect_module(gptq_config(4, 16, false, "gptq_v2"), tensors, matrix);
  matrix.group_of_column[31] = 0;
  tensors = tiny_weights(tiny_config());
  IntegerMatrix contiguous = matrix;
  contiguous.group_of_column = codec::contiguous_groups(32, 16);
  add_pack_quantized(tensors, contiguous);
  tensors[std::string(kModule) + ".weight_g_idx"] = tiny_tensor(DType::i32, {32}, matrix.group_of_column);
  expect_module(compressed_config(4, 16, false), tensors, matrix);
}

TEST(PackedModule, ModulesMayHaveOtherNumbersWhereTheConfigurationSaysSo) {
  TinyTensors tensors = tiny_weights(tiny_config());
  const IntegerMatrix matrix = sample(8, 16, true);
  add_gptq(tensors, matrix, codec::GptqZeros::v1);
  Json config = gptq_config(4, 16, true, "gptq");
  EXPECT_EQ(refusal(config, tensors).fault, Fault::corrupt);
  config["quantization_config"]["dynamic"] = Json{{"-:lm_head", Json::object()}, {".*gate.*", {{"bits", 8}}}};
  expect_module(config, tensors, matrix);
}

TEST(PackedModule, StandAloneQuantizeConfig) {
  const test::TempFolder folder;
  TinyTensors tensors = tiny_weights(tiny_config());
  add_gptq(tensors, sample(4, 16, true), codec::GptqZeros::v1);
  write_folder(folder.path(), tiny_config(), tensors);
  const Result<Checkpoint> without = Checkpoint::open(folder.path());
  ASSERT_FALSE(without.ok());
  EXPECT_EQ(without.error().tensor, std::string(kModule) + ".weight");
  test::write_text(folder / "quantize_config.json", R"({"bits": 4, "group_size": 16, "desc_act": false, "sym": true})");
  const Result<Checkpoint> checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << to_string(checkpoint.error());
  EXPECT_TRUE(checkpoint->is_quantized(kModule));
  EXPECT_EQ(checkpoint->quantization()->group_size, 16);
  EXPECT_EQ(checkpoint->quantization()->scale_dtype, DType::f16);
}

TEST(PackedModule, ContradictionsNameBothSides) {
  TinyTensors tensors = tiny_weights(tiny_config());
  add_gptq(tensors, sample(4, 16, true), codec::GptqZeros::v1);
  const Error bits = refusal(gptq_config(8, 16, true, "gptq"), tensors);
  EXPECT_THAT(bits.expected, HasSubstr("8 bits"));
  EXPECT_THAT(bits.found, HasSubstr("4 words for 32 inputs, 2 groups"));
  EXPECT_EQ(bits.tensor, kModule);
  EXPECT_EQ(refusal(gptq_config(4, 32, true, "gptq"), tensors).fault, Fault::corrupt);
  const std::string name = kModule;
  for (const char* suffix : {".scales", ".qzeros"}) {
    TinyTensors broken = tensors;
    broken.erase(name + suffix);
    EXPECT_EQ(refusal(gptq_config(4, 16, true, "gptq"), broken).tensor, name + suffix);
    broken[name + suffix] = tiny_tensor(DType::i32, {3, 3}, std::vector<std::int32_t>(9, 0));
    EXPECT_EQ(refusal(gptq_config(4, 16, true, "gptq"), broken).fault, Fault::corrupt);
  }
  TinyTensors wide = tensors;
  wide[name + ".scales"] = tiny_tensor(DType::f64, {2, 64}, std::vector<double>(128, 1.0));
  EXPECT_EQ(refusal(gptq_config(4, 16, true, "gptq"), wide).fault, Fault::unsupported);
  TinyTensors compressed = tiny_weights(tiny_config());
  add_pack_quantized(compressed, sample(4, 16, true));
  EXPECT_THAT(refusal(compressed_config(4, 16, false), compressed).found, HasSubstr("no zero points"));
}

TEST(PackedModule, BadValuesAreRefusedWhenRead) {
  const auto read = [](const TinyTensors& tensors) {
    const test::TempFolder folder;
    write_folder(folder.path(), gptq_config(4, 16, false, "gptq_v2"), tensors);
    const Result<Checkpoint> checkpoint = Checkpoint::open(folder.path());
    EXPECT_TRUE(checkpoint.ok());
    const Result<IntegerMatrix> matrix = checkpoint->read_quantized(kModule);
    EXPECT_FALSE(matrix.ok());
    return matrix.ok() ? Error{} : matrix.error();
  };
  TinyTensors tensors = tiny_weights(tiny_config());
  add_gptq(tensors, sample(4, 16, false), codec::GptqZeros::v2);
  const std::string name = kModule;
  TinyTensors infinite = tensors;
  infinite[name + ".scales"] = tiny_tensor(DType::f16, {2, 64}, std::vector<std::uint16_t>(128, 0x7C00));
  EXPECT_EQ(read(infinite).fault, Fault::corrupt);
  EXPECT_EQ(read(infinite).tensor, name);
  TinyTensors outside = tensors;
  outside[name + ".g_idx"] = tiny_tensor(DType::i32, {32}, std::vector<std::int32_t>(32, 2));
  EXPECT_EQ(read(outside).fault, Fault::corrupt);
}

}  // namespace
}  // namespace quernel::model
