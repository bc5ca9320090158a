#include "io/gguf_metadata.h"

#include <gtest/gtest.h>

#include "gguf_bytes.h"
#include "io/gguf_parser.h"
#include "safetensors_bytes.h"

namespace quernel::io {
namespace {

using namespace test;  // NOLINT: the builders

class GgufMetadataTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto parsed = parse_gguf_header(as_bytes(bytes_), "m.gguf");
    ASSERT_TRUE(parsed.ok()) << to_string(parsed.error());
    header_ = std::move(parsed).value();
  }
  [[nodiscard]] const GgufMetadata& metadata() const { return header_.metadata; }

 private:
  std::string bytes_ = small_gguf().build();
  GgufHeader header_;
};

TEST_F(GgufMetadataTest, ScalarsOfEveryKind) {
  EXPECT_EQ(*metadata().string("general.architecture"), "llama");
  EXPECT_EQ(*metadata().u32("v.u8"), 200U);
  EXPECT_EQ(*metadata().i64("v.i8"), -100);
  EXPECT_EQ(*metadata().u32("v.u16"), 60000U);
  EXPECT_EQ(*metadata().i64("v.i16"), -30000);
  EXPECT_EQ(*metadata().u32("v.u32"), 4000000000U);
  EXPECT_EQ(*metadata().i64("v.i32"), -2000000000);
  EXPECT_EQ(*metadata().f32("v.f32"), 0.1F);
  EXPECT_TRUE(*metadata().boolean("v.bool"));
  EXPECT_EQ(*metadata().u64("v.u64"), 18446744073709551615ULL);
  EXPECT_EQ(*metadata().i64("v.i64"), -9000000000000000000LL);
  EXPECT_EQ(*metadata().f32("v.f64"), -2.5F);
}

TEST_F(GgufMetadataTest, Arrays) {
  EXPECT_EQ(*metadata().integers("a.i32"), (std::vector<std::int64_t>{1, -2, 3}));
  EXPECT_EQ(*metadata().integers("a.bool"), (std::vector<std::int64_t>{1, 0, 1}));
  EXPECT_EQ(*metadata().floats("a.f32"), (std::vector<float>{0.5F, -1.0F}));
  EXPECT_EQ(*metadata().strings("a.str"), (std::vector<std::string_view>{"a", "", "\xC4\xA0x"}));
  EXPECT_TRUE(metadata().strings("a.none")->empty());
}

TEST_F(GgufMetadataTest, WrongKindsAndRangesNameTheKey) {
  const auto check = [](const auto& result, const char* key) {
    ASSERT_FALSE(result.ok()) << key;
    EXPECT_EQ(result.error().fault, Fault::corrupt) << key;
    EXPECT_EQ(result.error().field, key);
    EXPECT_EQ(result.error().file, "m.gguf");
    EXPECT_TRUE(result.error().offset.has_value());
  };
  check(metadata().u32("v.i8"), "v.i8");
  check(metadata().u32("v.u64"), "v.u64");
  check(metadata().i64("v.u64"), "v.u64");
  check(metadata().u64("v.i64"), "v.i64");
  check(metadata().u32("v.f32"), "v.f32");
  check(metadata().u32("v.bool"), "v.bool");
  check(metadata().u32("a.i32"), "a.i32");
  check(metadata().f32("v.u8"), "v.u8");
  check(metadata().boolean("v.u8"), "v.u8");
  check(metadata().string("v.u8"), "v.u8");
  check(metadata().strings("a.i32"), "a.i32");
  check(metadata().strings("general.architecture"), "general.architecture");
  check(metadata().integers("a.f32"), "a.f32");
  check(metadata().floats("a.i32"), "a.i32");
  check(metadata().u32_or("v.f32", 1), "v.f32");
}

TEST_F(GgufMetadataTest, MissingKeys) {
  EXPECT_EQ(metadata().find("absent"), nullptr);
  EXPECT_FALSE(metadata().has("v."));
  const auto missing = metadata().u32("llama.block_count");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().fault, Fault::not_found);
  EXPECT_EQ(missing.error().field, "llama.block_count");
  EXPECT_EQ(*metadata().u32_or("absent", 7), 7U);
  EXPECT_EQ(*metadata().f32_or("absent", 0.5F), 0.5F);
  EXPECT_TRUE(*metadata().boolean_or("absent", true));
  EXPECT_EQ(*metadata().string_or("absent", "x"), "x");
  EXPECT_EQ(*metadata().u32_or("v.u8", 7), 200U);
}

TEST_F(GgufMetadataTest, ValuesForPeople) {
  const auto text = [this](const char* key) { return to_string(*metadata().find(key), 2); };
  EXPECT_EQ(text("general.architecture"), "\"llama\"");
  EXPECT_EQ(text("v.u64"), "18446744073709551615");
  EXPECT_EQ(text("v.i8"), "-100");
  EXPECT_EQ(text("v.bool"), "true");
  EXPECT_EQ(text("v.f32"), "0.1");
  EXPECT_EQ(text("a.i32"), "[3 x i32] 1, -2, ...");
  EXPECT_EQ(text("a.str"), "[3 x string] \"a\", \"\", ...");
  EXPECT_EQ(text("a.f32"), "[2 x f32] 0.5, -1");
  EXPECT_EQ(text("a.none"), "[0 x string]");
}

}  // namespace
}  // namespace quernel::io
