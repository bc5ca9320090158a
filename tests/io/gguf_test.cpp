#include "io/gguf.h"

#include <gtest/gtest.h>

#include <cstring>

#include "gguf_bytes.h"
#include "safetensors_bytes.h"
#include "support/shared_data.h"
#include "support/temp_folder.h"

namespace quernel::io {
namespace {

using namespace test;  // NOLINT: the builders

TEST(Gguf, OpensFindsAndViews) {
  const TempFolder folder;
  const std::string bytes = small_gguf().build();
  write_text(folder / "m.gguf", bytes);
  auto opened = GgufFile::open(folder / "m.gguf");
  ASSERT_TRUE(opened.ok()) << to_string(opened.error());
  const GgufFile file = std::move(opened).value();
  EXPECT_EQ(file.header().version, 3U);
  EXPECT_EQ(file.header().alignment_bytes, 32U);
  EXPECT_EQ(file.header().data_offset_bytes % 32, 0U);
  EXPECT_EQ(file.size_bytes(), bytes.size());
  ASSERT_EQ(file.tensors().size(), 3U);

  const GgufTensor* first = file.find("first");
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->shape, (Shape{2, 3}));  // listed the other way round in the file
  EXPECT_EQ(first->type_name, "F32");
  EXPECT_EQ(first->size_bytes, 24U);
  const auto view = file.view("first");
  ASSERT_TRUE(view.ok());
  float values[6];
  ASSERT_TRUE(to_float(*view, values).ok());
  EXPECT_EQ(values[5], 5.0F);

  const GgufTensor* blocks = file.find("blocks");
  ASSERT_NE(blocks, nullptr);
  EXPECT_EQ(blocks->type_name, "Q4_0");
  EXPECT_EQ(blocks->shape, (Shape{2, 32}));
  EXPECT_EQ(blocks->size_bytes, 36U);
  EXPECT_EQ(blocks->offset_bytes, file.header().data_offset_bytes + 32);
  EXPECT_EQ(std::to_integer<int>(file.bytes(*blocks)[35]), 0x11);
  EXPECT_EQ(file.view("blocks").error().fault, Fault::unsupported);

  EXPECT_EQ(std::memcmp(file.bytes(*file.find("last")).data(), "abcde", 5), 0);
  EXPECT_EQ(file.view("last")->dtype, DType::i8);
  EXPECT_EQ(file.view("none").error().fault, Fault::not_found);
  file.release(*blocks);
}

TEST(Gguf, LegalOddities) {
  struct Case {
    const char* name;
    GgufBuilder gguf;
  };
  std::vector<Case> cases;
  cases.push_back({"version 2", small_gguf()});
  cases.back().gguf.version = 2;
  cases.push_back({"nothing in it", {}});
  cases.push_back({"no padding after the last tensor", small_gguf()});
  cases.back().gguf.data.resize(cases.back().gguf.data.size() - 27);
  cases.push_back({"alignment of 64", {}});
  cases.back().gguf.alignment = 64;
  cases.back().gguf.pairs = {pair_bytes("general.alignment", kU32, number_bytes<std::uint32_t>(64))};
  cases.back().gguf.tensors = {tensor_bytes("a", {1}, 0, 0), tensor_bytes("b", {1}, 0, 64)};
  cases.back().gguf.data = std::string(128, '\0');
  cases.push_back({"empty tensor", {}});
  cases.back().gguf.tensors = {tensor_bytes("a", {32, 0}, 2, 0), tensor_bytes("b", {1}, 0, 0)};
  cases.back().gguf.data = std::string(32, '\0');
  cases.push_back({"one part of one", {}});
  cases.back().gguf.pairs = {pair_bytes("split.count", kU16, number_bytes<std::uint16_t>(1))};
  cases.push_back({"blocks nobody decodes here", {}});
  cases.back().gguf.tensors = {tensor_bytes("a", {256}, 16, 0)};
  cases.back().gguf.data = std::string(66, '\0');
  for (const Case& c : cases) {
    const std::string bytes = c.gguf.build();
    const auto header = parse_gguf_header(as_bytes(bytes), "m");
    EXPECT_TRUE(header.ok()) << c.name << ": " << (header.ok() ? "" : to_string(header.error()));
  }
  const std::string bare = GgufBuilder{}.head();  // no tensors: no padding
  EXPECT_TRUE(parse_gguf_header(as_bytes(bare), "m").ok());
}

// A type that is newer than this program is listed, with the bytes up to the next tensor.
TEST(Gguf, UnknownTypesAreListedByNumber) {
  GgufBuilder gguf;
  gguf.tensors = {tensor_bytes("new", {7}, 99, 0), tensor_bytes("known", {8}, 0, 64), tensor_bytes("end", {9}, 98, 96)};
  gguf.data = std::string(96 + 10, '\0');
  const TempFolder folder;
  write_text(folder / "m", gguf.build());
  const auto file = GgufFile::open(folder / "m");
  ASSERT_TRUE(file.ok()) << to_string(file.error());
  EXPECT_EQ(file->tensors()[0].type_name, "type 99");
  EXPECT_FALSE(file->tensors()[0].is_known_type);
  EXPECT_EQ(file->tensors()[0].size_bytes, 64U);
  EXPECT_TRUE(file->tensors()[1].is_known_type);
  EXPECT_EQ(file->tensors()[2].size_bytes, 10U);
  EXPECT_EQ(file->view("new").error().fault, Fault::unsupported);
}

TEST(Gguf, TensorBeyondFourGigabytes) {
  GgufBuilder gguf;
  gguf.tensors = {tensor_bytes("big", {100000, 50000}, 24, 0), tensor_bytes("tail", {4}, 0, 5000000000)};
  const TempFolder folder;
  write_text(folder / "m", gguf.build());
  const std::uint64_t begin = gguf.build().size();
  std::error_code failure;
  std::filesystem::resize_file(folder / "m", begin + 5000000000 + 16, failure);
  if (failure) GTEST_SKIP() << "no sparse files here: " << failure.message();
  const auto file = GgufFile::open(folder / "m");
  ASSERT_TRUE(file.ok()) << to_string(file.error());
  EXPECT_EQ(file->find("tail")->offset_bytes, begin + 5000000000);
  EXPECT_EQ(std::to_integer<int>(file->bytes(*file->find("tail"))[15]), 0);
  std::filesystem::resize_file(folder / "m", begin + 5000000000 + 15, failure);
  EXPECT_FALSE(GgufFile::open(folder / "m").ok());
}

TEST(Gguf, RealVocabulary) {
  const auto path = shared_data("tokenizer/ggml-vocab-gpt-2.gguf");
  if (!path) GTEST_SKIP() << "shared data is not there";
  const auto file = GgufFile::open(*path);
  ASSERT_TRUE(file.ok()) << to_string(file.error());
  EXPECT_EQ(*file->metadata().string("tokenizer.ggml.model"), "gpt2");
  const auto tokens = file->metadata().strings("tokenizer.ggml.tokens");
  ASSERT_TRUE(tokens.ok());
  EXPECT_EQ(tokens->size(), 50257U);
  EXPECT_EQ(tokens->at(0), "!");
  EXPECT_EQ(file->metadata().integers("tokenizer.ggml.token_type")->size(), 50257U);
}

TEST(Gguf, RealModel) {
  const auto path = test_model();
  if (!path) GTEST_SKIP() << "no real model: QUERNEL_TEST_MODEL is not set";
  const auto file = GgufFile::open(*path);
  ASSERT_TRUE(file.ok()) << to_string(file.error());
  EXPECT_EQ(*file->metadata().string("general.architecture"), "llama");
  EXPECT_EQ(file->tensors().size(), 272U);
}

}  // namespace
}  // namespace quernel::io
