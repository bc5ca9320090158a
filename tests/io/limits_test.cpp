#include "io/limits.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "gguf_bytes.h"
#include "io/gguf_parser.h"
#include "io/safetensors_header.h"
#include "io/safetensors_set.h"
#include "safetensors_bytes.h"
#include "support/documented_limits.h"
#include "support/temp_folder.h"

namespace quernel::io {
namespace {

using namespace test;  // NOLINT: the builders

TEST(Limits, CodeAndDocumentAgree) {
  const Limits code = {
      {"kMaxJsonBytes", kMaxJsonBytes},
      {"kMaxJsonDepth", static_cast<std::uint64_t>(kMaxJsonDepth)},
      {"kMaxJsonValues", static_cast<std::uint64_t>(kMaxJsonValues)},
      {"kMaxSafetensorsHeaderBytes", kMaxSafetensorsHeaderBytes},
      {"kMaxTensorNameBytes", kMaxTensorNameBytes},
      {"kMaxTensorRank", kMaxTensorRank},
      {"kMaxTensorsPerFile", kMaxTensorsPerFile},
      {"kMaxMetadataEntries", kMaxMetadataEntries},
      {"kMaxShards", kMaxShards},
      {"kMaxTensorsPerModel", kMaxTensorsPerModel},
      {"kMaxGgufMetadata", kMaxGgufMetadata},
      {"kMaxGgufKeyBytes", kMaxGgufKeyBytes},
      {"kMaxGgufTensorNameBytes", kMaxGgufTensorNameBytes},
      {"kMaxGgufTensorRank", kMaxGgufTensorRank},
      {"kMaxGgufStringBytes", kMaxGgufStringBytes},
      {"kMaxGgufArrayElements", kMaxGgufArrayElements},
      {"kMaxGgufAlignment", kMaxGgufAlignment},
  };
  EXPECT_EQ(documented_limits("Files"), code);
}

// Nothing at the limit, limit_exceeded one above it.
template <class Parse>
void expect_limit(const char* name, std::uint64_t limit, const Parse& parse) {
  const auto at = parse(limit);
  EXPECT_TRUE(at.ok()) << name << ": " << (at.ok() ? "" : to_string(at.error()));
  const auto above = parse(limit + 1);
  ASSERT_FALSE(above.ok()) << name;
  EXPECT_EQ(above.error().fault, Fault::limit_exceeded) << name << ": " << to_string(above.error());
}

Result<SafetensorsHeader> parse_safetensors(const std::string& file) {
  return parse_safetensors_header(as_bytes(file), "m");
}

TEST(Limits, SafetensorsAtTheLimitAndOneMore) {
  expect_limit("header bytes", kMaxSafetensorsHeaderBytes, [](std::uint64_t bytes) {
    return parse_safetensors(safetensors_bytes("{}" + std::string(bytes - 2, ' '), ""));
  });
  expect_limit("name bytes", kMaxTensorNameBytes, [](std::uint64_t bytes) {
    return parse_safetensors(safetensors_bytes(
        "{\"" + std::string(bytes, 'n') + R"(":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})", "d"));
  });
  expect_limit("rank", kMaxTensorRank, [](std::uint64_t rank) {
    std::string shape = "1";
    for (std::uint64_t i = 1; i < rank; ++i) shape += ",1";
    return parse_safetensors(
        safetensors_bytes(R"({"a":{"dtype":"U8","shape":[)" + shape + R"(],"data_offsets":[0,1]}})", "d"));
  });
  expect_limit("tensors", kMaxTensorsPerFile, [](std::uint64_t count) {
    std::string header = "{";
    for (std::uint64_t i = 0; i < count; ++i) {
      header += fmt::format(R"("{}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}},)", i);
    }
    header.back() = '}';
    return parse_safetensors(safetensors_bytes(header, ""));
  });
  expect_limit("metadata", kMaxMetadataEntries, [](std::uint64_t count) {
    std::string header = R"({"__metadata__":{)";
    for (std::uint64_t i = 0; i < count; ++i) header += fmt::format(R"("{}":"",)", i);
    header.back() = '}';
    return parse_safetensors(safetensors_bytes(header + "}", ""));
  });
}

TEST(Limits, IndexAtTheLimitAndOneMore) {
  expect_limit("tensors of an index", kMaxTensorsPerModel, [](std::uint64_t count) {
    std::string text = R"({"weight_map":{)";
    for (std::uint64_t i = 0; i < count; ++i) text += fmt::format(R"("{}":"a.safetensors",)", i);
    text.back() = '}';
    return parse_safetensors_index(text + "}", "index");
  });
}

Result<GgufHeader> parse_gguf(const GgufBuilder& gguf) {
  static std::string kept;  // the header points into it
  kept = gguf.build();
  return parse_gguf_header(as_bytes(kept), "m");
}

TEST(Limits, GgufAtTheLimitAndOneMore) {
  const auto u8_pair = [](const std::string& key) { return pair_bytes(key, kU8, "x"); };
  expect_limit("pairs", kMaxGgufMetadata, [&](std::uint64_t count) {
    GgufBuilder gguf;
    for (std::uint64_t i = 0; i < count; ++i) gguf.pairs.push_back(u8_pair(std::to_string(i)));
    return parse_gguf(gguf);
  });
  expect_limit("key bytes", kMaxGgufKeyBytes, [&](std::uint64_t bytes) {
    GgufBuilder gguf;
    gguf.pairs = {u8_pair(std::string(bytes, 'k'))};
    return parse_gguf(gguf);
  });
  expect_limit("array elements", kMaxGgufArrayElements, [](std::uint64_t count) {
    GgufBuilder gguf;
    gguf.pairs = {pair_bytes("k", kArray, array_bytes(kU8, count, std::string(count, 'x')))};
    return parse_gguf(gguf);
  });
  expect_limit("tensors", kMaxTensorsPerFile, [](std::uint64_t count) {
    GgufBuilder gguf;
    for (std::uint64_t i = 0; i < count; ++i) gguf.tensors.push_back(tensor_bytes(std::to_string(i), {0}, 0, 0));
    return parse_gguf(gguf);
  });
  expect_limit("tensor name bytes", kMaxGgufTensorNameBytes, [](std::uint64_t bytes) {
    GgufBuilder gguf;
    gguf.tensors = {tensor_bytes(std::string(bytes, 'n'), {0}, 0, 0)};
    return parse_gguf(gguf);
  });
  expect_limit("rank", kMaxGgufTensorRank, [](std::uint64_t rank) {
    GgufBuilder gguf;
    gguf.tensors = {tensor_bytes("a", std::vector<std::uint64_t>(rank, 0), 0, 0)};
    return parse_gguf(gguf);
  });
  GgufBuilder gguf;
  gguf.alignment = kMaxGgufAlignment;
  gguf.pairs = {pair_bytes("general.alignment", kU32, number_bytes(static_cast<std::uint32_t>(kMaxGgufAlignment)))};
  gguf.tensors = {tensor_bytes("a", {1}, 0, 0)};
  gguf.data = "four";
  EXPECT_TRUE(parse_gguf(gguf).ok());
  gguf.pairs = {pair_bytes("general.alignment", kU32, number_bytes(static_cast<std::uint32_t>(2 * kMaxGgufAlignment)))};
  EXPECT_FALSE(parse_gguf(gguf).ok());
}

}  // namespace
}  // namespace quernel::io
