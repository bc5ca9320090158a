// The AWQ layout as a checkpoint holds it: found by name and shape, read back, or refused with both sides named.
#include "codec/int_pack_awq.h"
#include "model/packed_samples.h"

namespace quernel::model {
namespace {

using codec::IntegerMatrix;
using ::testing::HasSubstr;

const std::string kName = kModule;

void add_awq(TinyTensors& tensors, const IntegerMatrix& matrix) {
  const auto packed = codec::pack_awq(matrix);
  ASSERT_TRUE(packed.ok()) << to_string(packed.error());
  tensors.erase(kName + ".weight");
  const std::int64_t groups = matrix.num_groups();
  tensors[kName + ".qweight"] = {DType::i32, {32, 8}, word_bytes(packed->qweight)};
  tensors[kName + ".qzeros"] = {DType::i32, {groups, 8}, word_bytes(packed->qzeros)};
  tensors[kName + ".scales"] = tiny_tensor(DType::f16, {groups, 64}, packed->scales);
}

TinyTensors awq_tensors(const IntegerMatrix& matrix) {
  TinyTensors tensors = tiny_weights(tiny_config());
  add_awq(tensors, matrix);
  return tensors;
}

Json awq_config(std::int64_t group_size, bool zero_point = true, const std::string& version = "gemm") {
  Json json = tiny_config();
  json["quantization_config"] = Json{{"quant_method", "awq"},    {"bits", 4},
                                     {"group_size", group_size}, {"version", version},
                                     {"zero_point", zero_point}, {"modules_to_not_convert", nullptr}};
  return json;
}

TEST(PackedAwq, ComesBack) {
  for (const std::int64_t group_size : {std::int64_t{16}, std::int64_t{8}, std::int64_t{-1}}) {
    for (const char* version : {"gemm", "GEMM", "exllama", "ipex"}) {
      const IntegerMatrix matrix = sample(4, group_size < 0 ? 32 : group_size, false);
      expect_module(awq_config(group_size, true, version), awq_tensors(matrix), matrix);
    }
  }
}

TEST(PackedAwq, SymmetricFilesWithAndWithoutZeros) {
  const IntegerMatrix matrix = sample(4, 16, true);
  TinyTensors tensors = awq_tensors(matrix);
  expect_module(awq_config(16, false), tensors, matrix);
  IntegerMatrix told_otherwise = matrix;
  told_otherwise.symmetric = false;
  expect_module(awq_config(16, true), tensors, told_otherwise);
  tensors.erase(kName + ".qzeros");
  expect_module(awq_config(16, false), tensors, matrix);
  EXPECT_EQ(refusal(awq_config(16, true), tensors).tensor, kName + ".qzeros");
}

TEST(PackedAwq, AutoAwqsOwnFile) {
  const test::TempFolder folder;
  write_folder(folder.path(), tiny_config(), awq_tensors(sample(4, 16, false)));
  EXPECT_EQ(Checkpoint::open(folder.path()).error().tensor, kName + ".weight");
  test::write_text(folder / "quant_config.json",
                   R"({"zero_point": true, "q_group_size": 16, "w_bit": 4, "version": "GEMM"})");
  const Result<Checkpoint> checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << to_string(checkpoint.error());
  EXPECT_TRUE(checkpoint->is_quantized(kModule));
  EXPECT_EQ(checkpoint->quantization()->method, "awq");
  EXPECT_EQ(checkpoint->quantization()->scale_dtype, DType::f16);
  test::write_text(folder / "quant_config.json",
                   R"({"zero_point": true, "q_group_size": 16, "w_bit": 4, "version": "GEMV"})");
  const Result<Checkpoint> gemv = Checkpoint::open(folder.path());
  ASSERT_FALSE(gemv.ok());
  EXPECT_THAT(gemv.error().file, HasSubstr("quant_config.json"));
}

TEST(PackedAwq, ContradictionsNameBothSides) {
  const TinyTensors good = awq_tensors(sample(4, 16, false));
  const Error groups = refusal(awq_config(32), good);
  EXPECT_EQ(groups.fault, Fault::corrupt);
  EXPECT_EQ(groups.tensor, kName + ".scales");
  EXPECT_EQ(groups.expected, "[1, 64]");
  EXPECT_EQ(groups.found, "[2, 64]");
  const Error tail = refusal(awq_config(24), good);
  EXPECT_EQ(tail.field, "group_size");
  EXPECT_THAT(tail.expected, HasSubstr("divisor of 32"));
  for (const char* suffix : {".scales", ".qzeros"}) {
    TinyTensors broken = good;
    broken.erase(kName + suffix);
    EXPECT_EQ(refusal(awq_config(16), broken).tensor, kName + suffix);
  }
  for (const char* suffix : {".qweight", ".scales", ".qzeros"}) {
    for (const Shape& shape : {Shape{3, 3}, Shape{9}, Shape{1, 3, 3}}) {
      TinyTensors broken = good;
      broken[kName + suffix] = tiny_tensor(DType::i32, shape, std::vector<std::int32_t>(9, 0));
      const Error error = refusal(awq_config(16), broken);
      EXPECT_EQ(error.fault, Fault::corrupt);
      EXPECT_EQ(error.tensor, kName + suffix);
    }
  }
}

TEST(PackedAwq, TensorsOfOtherLayoutsAreRefused) {
  TinyTensors tensors = awq_tensors(sample(4, 16, false));
  tensors[kName + ".qweight"] = tiny_tensor(DType::i32, {64, 4}, std::vector<std::int32_t>(256, 0));
  EXPECT_THAT(refusal(awq_config(16), tensors).hint, HasSubstr("gemv"));
  tensors = awq_tensors(sample(4, 16, false));
  tensors[kName + ".g_idx"] = tiny_tensor(DType::i32, {32}, std::vector<std::int32_t>(32, 0));
  EXPECT_EQ(refusal(awq_config(16), tensors).field, "g_idx");
  tensors = awq_tensors(sample(4, 16, false));
  tensors[kName + ".scales"] = tiny_tensor(DType::f64, {2, 64}, std::vector<double>(128, 1.0));
  EXPECT_EQ(refusal(awq_config(16), tensors).fault, Fault::unsupported);
  for (const char* version : {"gemv", "gemv_fast", "marlin"}) {
    const Error error = refusal(awq_config(16, true, version), awq_tensors(sample(4, 16, false)));
    EXPECT_EQ(error.fault, Fault::unsupported);
    EXPECT_THAT(error.message, HasSubstr(version));
    EXPECT_THAT(error.hint, HasSubstr("gemm"));
  }
}

// 44 inputs to gate and up, that is 44 outputs: no whole words.
TEST(PackedAwq, OutputsMustFillTheirWords) {
  Json config = awq_config(16);
  config["intermediate_size"] = 44;
  TinyTensors tensors = tiny_weights(config);
  tensors.erase(kName + ".weight");
  tensors[kName + ".qweight"] = tiny_tensor(DType::i32, {32, 6}, std::vector<std::int32_t>(192, 0));
  const Error error = refusal(config, tensors);
  EXPECT_EQ(error.field, "shape");
  EXPECT_EQ(error.tensor, kName);
  EXPECT_EQ(error.found, "44");
}

TEST(PackedAwq, BadValuesAreRefusedWhenRead) {
  const auto read = [](const Json& config, const TinyTensors& tensors) {
    const test::TempFolder folder;
    write_folder(folder.path(), config, tensors);
    const Result<Checkpoint> checkpoint = Checkpoint::open(folder.path());
    EXPECT_TRUE(checkpoint.ok());
    const Result<IntegerMatrix> matrix = checkpoint->read_quantized(kModule);
    EXPECT_FALSE(matrix.ok());
    return matrix.ok() ? Error{} : matrix.error();
  };
  TinyTensors infinite = awq_tensors(sample(4, 16, false));
  EXPECT_EQ(read(awq_config(16, false), infinite).field, "zero_points");  // not 8, as "zero_point": false says
  infinite[kName + ".scales"] = tiny_tensor(DType::f16, {2, 64}, std::vector<std::uint16_t>(128, 0x7C00));
  EXPECT_EQ(read(awq_config(16), infinite).fault, Fault::corrupt);
  EXPECT_EQ(read(awq_config(16), infinite).tensor, kName);
  TinyTensors floats = awq_tensors(sample(4, 16, false));
  floats[kName + ".qweight"] = tiny_tensor(DType::f32, {32, 8}, std::vector<float>(256, 0.0F));
  EXPECT_EQ(read(awq_config(16), floats).field, "qweight");
}

}  // namespace
}  // namespace quernel::model
