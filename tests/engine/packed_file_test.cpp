#include "engine/packed_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "packed_samples.h"
#include "support/temp_folder.h"

namespace quernel::engine {
namespace {

using namespace test;  // NOLINT: the samples

const Json kIdentity = {{"name", "sample"}};

Result<ModelWeights> read(const std::string& path, sys::ThreadPool& pool) {
  return read_packed(path, kIdentity, sample_frame(), {kSampleHead, kSampleCols}, pool);
}

void expect_same(const PackedLinear& a, const PackedLinear& b) {
  const kernels::packed::WeightView& left = a.weight.view();
  const kernels::packed::WeightView& right = b.weight.view();
  EXPECT_EQ(left.codes, right.codes);
  EXPECT_EQ(left.groups, right.groups);
  EXPECT_EQ(left.fixed_zero, right.fixed_zero);
  EXPECT_EQ(left.group_size, right.group_size);
  EXPECT_EQ(left.rows, right.rows);
  EXPECT_EQ(left.cols, right.cols);
  EXPECT_TRUE(std::ranges::equal(left.table, right.table));
  EXPECT_TRUE(std::ranges::equal(a.weight.memory(), b.weight.memory()));
  EXPECT_EQ(a.bias, b.bias);
  EXPECT_EQ(a.order, b.order);
  EXPECT_EQ(a.outliers, b.outliers);
  EXPECT_EQ(a.is_dense, b.is_dense);
}

struct Written {
  TempFolder folder;
  sys::ThreadPool pool{2};
  ModelWeights weights = sample_weights(pool);
  std::string path = folder / "model.packed";

  Written() { EXPECT_TRUE(write_packed(path, kIdentity, weights).ok()); }
  // The file with one text of its header in place of another of the same length.
  void replace(const std::string& from, const std::string& to) {
    ASSERT_EQ(from.size(), to.size());
    std::string bytes = read_text(path);
    const std::size_t at = bytes.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    write_text(path, bytes.replace(at, from.size(), to));
  }
};

TEST(PackedFile, ComesBackByteForByte) {
  Written written;
  const Result<ModelWeights> read_back = read(written.path, written.pool);
  ASSERT_TRUE(read_back.ok()) << to_string(read_back.error());
  expect_same(read_back->head, written.weights.head);
  ASSERT_EQ(read_back->layers[0].linears.size(), 4U);
  for (std::size_t i = 0; i < 4; ++i)
    expect_same(read_back->layers[0].linears[i], written.weights.layers[0].linears[i]);
  EXPECT_EQ(read_back->bytes(), written.weights.bytes());
  const std::string again = written.folder / "again";
  ASSERT_TRUE(write_packed(again, kIdentity, *read_back).ok());
  EXPECT_EQ(read_text(again), read_text(written.path));
}

TEST(PackedFile, EveryTruncationIsRefused) {
  Written written;
  const std::string whole = read_text(written.path);
  for (std::size_t length = 0; length < whole.size(); length += length < 6000 ? 1 : 997) {
    write_text(written.path, std::string_view(whole).substr(0, length));
    ASSERT_FALSE(read(written.path, written.pool).ok()) << length;
  }
}

// One wrong byte of data, wherever, is found, and the tensor named.
TEST(PackedFile, EveryWrongByteIsFound) {
  Written written;
  const std::string whole = read_text(written.path);
  std::uint64_t header;
  std::memcpy(&header, whole.data(), sizeof header);
  for (std::size_t at = 8 + header; at < whole.size(); at += 7) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 4);
    write_text(written.path, bytes);
    const Result<ModelWeights> result = read(written.path, written.pool);
    ASSERT_FALSE(result.ok()) << at;
    EXPECT_EQ(result.error().fault, Fault::corrupt);
    EXPECT_FALSE(result.error().tensor.empty());
  }
}

TEST(PackedFile, OfAnotherStateOrVersionIsRefused) {
  Written written;
  EXPECT_EQ(read_packed(written.path, {{"name", "other"}}, sample_frame(), {kSampleHead, kSampleCols}, written.pool)
                .error()
                .fault,
            Fault::unsupported);
  written.replace(R"(\"version\":1)", R"(\"version\":9)");
  EXPECT_EQ(read(written.path, written.pool).error().fault, Fault::unsupported);
}

TEST(PackedFile, WhatTheModelDoesNotAskForIsRefused) {
  for (const auto& [from, to] :
       std::vector<std::pair<std::string, std::string>>{{R"(\"group_size\":32)", R"(\"group_size\":16)"},
                                                        {R"(\"group_size\":32)", R"(\"group_size\":-1)"},
                                                        {R"(\"group_size\":32)", R"(\"group_size\":99)"},
                                                        {R"(\"codes\":\"u4\")", R"(\"codes\":\"u8\")"},
                                                        {R"(\"codes\":\"u4\")", R"(\"codes\":\"x4\")"},
                                                        {R"(\"groups\":\"two_level\")", R"(\"groups\":\"f16_fixed\")"},
                                                        {R"(\"fixed_zero\":127)", R"(\"fixed_zero\":777)"},
                                                        {R"(\"table\":[3,4)", R"(\"table\":[3,-)"},
                                                        {R"(\"a.bias\":[\")", R"(\"a.bios\":[\")"}}) {
    Written written;
    written.replace(from, to);
    const Result<ModelWeights> result = read(written.path, written.pool);
    ASSERT_FALSE(result.ok()) << to;
    EXPECT_EQ(result.error().fault == Fault::corrupt || result.error().fault == Fault::unsupported, true) << to;
  }
  Written written;
  EXPECT_FALSE(
      read_packed(written.path, kIdentity, sample_frame(), {kSampleHead + 1, kSampleCols + 1}, written.pool).ok());
  ModelWeights frame = sample_frame();
  frame.layers[0].modules[2].rows += 16;
  EXPECT_FALSE(read_packed(written.path, kIdentity, frame, {kSampleHead, kSampleCols}, written.pool).ok());
  frame.layers[0].modules[2].name = "e";
  EXPECT_FALSE(read_packed(written.path, kIdentity, frame, {kSampleHead, kSampleCols}, written.pool).ok());
}

// Written by somebody who knows the sums: places outside of a matrix are refused all the same.
TEST(PackedFile, PlacesOutsideOfTheMatrixAreRefused) {
  Written written;
  ModelWeights hostile = sample_weights(written.pool);
  hostile.layers[0].linears[1].order[7] = kSampleCols;
  ASSERT_TRUE(write_packed(written.path, kIdentity, hostile).ok());
  EXPECT_EQ(read(written.path, written.pool).error().fault, Fault::corrupt);
  hostile = sample_weights(written.pool);
  hostile.layers[0].linears[1].outliers[1].row = kSampleRows;
  ASSERT_TRUE(write_packed(written.path, kIdentity, hostile).ok());
  EXPECT_EQ(read(written.path, written.pool).error().fault, Fault::corrupt);
}

}  // namespace
}  // namespace quernel::engine
