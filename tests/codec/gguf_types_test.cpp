#include "codec/gguf_types.h"

#include <gtest/gtest.h>

#include "io/gguf_types.h"

namespace quernel::codec {
namespace {

// io checks offsets with a table of its own, because the two wings do not include each other.
TEST(GgufTypes, TablesOfIoAndCodecAgree) {
  ASSERT_EQ(ggml_types().size(), io::gguf_type_sizes().size());
  for (const GgmlTypeTraits& traits : ggml_types()) {
    const io::GgufTypeSize* size = io::find_gguf_type(static_cast<std::uint32_t>(traits.type));
    ASSERT_NE(size, nullptr) << traits.name;
    EXPECT_EQ(size->name, traits.name);
    EXPECT_EQ(size->elements_per_block, static_cast<std::uint64_t>(traits.elements_per_block)) << traits.name;
    EXPECT_EQ(size->bytes_per_block, static_cast<std::uint64_t>(traits.bytes_per_block)) << traits.name;
    EXPECT_FALSE(io::is_removed_gguf_type(size->number)) << traits.name;
  }
}

TEST(GgufTypes, NumbersAreUniqueAndFound) {
  for (const GgmlTypeTraits& traits : ggml_types()) {
    EXPECT_EQ(find_ggml_type(static_cast<std::uint32_t>(traits.type)), &traits) << traits.name;
  }
  for (const std::uint32_t number : {4U, 5U, 31U, 33U, 36U, 38U, 43U, 1000U, 0xFFFFFFFFU}) {
    EXPECT_EQ(find_ggml_type(number), nullptr) << number;
  }
}

// Numbers as the format fixes them, spelled out once more.
TEST(GgufTypes, PublishedNumbersAndSizes) {
  struct Row {
    std::uint32_t number;
    const char* name;
    int elements;
    int bytes;
  };
  const Row rows[] = {{0, "F32", 1, 4},       {1, "F16", 1, 2},         {2, "Q4_0", 32, 18},    {3, "Q4_1", 32, 20},
                      {6, "Q5_0", 32, 22},    {7, "Q5_1", 32, 24},      {8, "Q8_0", 32, 34},    {10, "Q2_K", 256, 84},
                      {11, "Q3_K", 256, 110}, {12, "Q4_K", 256, 144},   {13, "Q5_K", 256, 176}, {14, "Q6_K", 256, 210},
                      {20, "IQ4_NL", 32, 18}, {23, "IQ4_XS", 256, 136}, {30, "BF16", 1, 2},     {39, "MXFP4", 32, 17}};
  for (const Row& row : rows) {
    const GgmlTypeTraits* traits = find_ggml_type(row.number);
    ASSERT_NE(traits, nullptr) << row.name;
    EXPECT_EQ(traits->name, row.name);
    EXPECT_EQ(traits->elements_per_block, row.elements) << row.name;
    EXPECT_EQ(traits->bytes_per_block, row.bytes) << row.name;
  }
}

}  // namespace
}  // namespace quernel::codec
