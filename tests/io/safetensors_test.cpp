#include "io/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "io/limits.h"
#include "safetensors_bytes.h"
#include "support/temp_folder.h"

namespace quernel::io {
namespace {

using test::as_bytes;
using test::safetensors_bytes;

constexpr const char* kTwoTensors =
    R"({"__metadata__":{"format":"pt","note":"x"},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
    R"("a":{"data_offsets":[8,12],"shape":[2,1],"dtype":"BF16"}})";
const std::string kTwoTensorsData =
    std::string("\x00\x00\x80\x3f\x00\x00\x00\xc0", 8) + std::string("\x80\x3f\x00\xc0", 4);

TEST(Safetensors, GoldenFileOf72Bytes) {
  const std::string bytes =
      safetensors_bytes(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}  )", std::string(8, '\0'));
  ASSERT_EQ(bytes.size(), 72U);
  const auto header = parse_safetensors_header(as_bytes(bytes), "m");
  ASSERT_TRUE(header.ok()) << to_string(header.error());
  ASSERT_EQ(header->entries.size(), 1U);
  EXPECT_EQ(header->data_offset_bytes, 64U);
  EXPECT_EQ(header->entries[0].name, "a");
  EXPECT_EQ(header->entries[0].dtype, DType::f32);
  EXPECT_EQ(header->entries[0].shape, Shape{2});
  EXPECT_EQ(header->entries[0].offset_bytes, 64U);
  EXPECT_EQ(header->entries[0].size_bytes, 8U);
  EXPECT_TRUE(header->metadata.empty());
}

TEST(Safetensors, OpensFindsAndViews) {
  const test::TempFolder folder;
  test::write_text(folder / "m.safetensors", safetensors_bytes(kTwoTensors, kTwoTensorsData));
  auto opened = SafetensorsFile::open(folder / "m.safetensors");
  ASSERT_TRUE(opened.ok()) << to_string(opened.error());
  const SafetensorsFile file = std::move(opened).value();
  ASSERT_EQ(file.entries().size(), 2U);
  EXPECT_EQ(file.entries()[0].name, "b");
  EXPECT_EQ(*file.header().find_metadata("format"), "pt");
  EXPECT_EQ(file.header().find_metadata("absent"), nullptr);

  const auto a = file.view("a");
  ASSERT_TRUE(a.ok());
  EXPECT_EQ(a->dtype, DType::bf16);
  EXPECT_EQ(a->shape, (Shape{2, 1}));
  ASSERT_EQ(a->bytes.size(), 4U);
  EXPECT_EQ(std::memcmp(a->bytes.data(), "\x80\x3f\x00\xc0", 4), 0);
  float values[2];
  ASSERT_TRUE(to_float(*a, values).ok());
  EXPECT_EQ(values[0], 1.0F);
  EXPECT_EQ(values[1], -2.0F);

  EXPECT_EQ(file.find("c"), nullptr);
  const auto missing = file.view("c");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().fault, Fault::not_found);
  EXPECT_EQ(missing.error().tensor, "c");
  file.release(file.entries()[0]);
}

TEST(Safetensors, LegalOddities) {
  struct Case {
    const char* name;
    std::string header;
    std::size_t data_bytes;
  };
  const Case cases[] = {
      {"no tensors", "{}", 0},
      {"metadata alone", R"({"__metadata__":{}})", 0},
      {"white space around", "{ \n\t}\r\n  ", 0},
      {"rank 0", R"({"a":{"dtype":"I64","shape":[],"data_offsets":[0,8]}})", 8},
      {"empty tensor between others",
       R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"z":{"dtype":"F64","shape":[3,0],"data_offsets":[1,1]},)"
       R"("b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
       2},
      {"listed out of order",
       R"({"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]},"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}})",
       3},
      {"escaped name", R"({"\u00e9\ud83d\ude00":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1},
      {"half a byte an element", R"({"a":{"dtype":"F4","shape":[3,2],"data_offsets":[0,3]}})", 3},
      {"six bits an element", R"({"a":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]}})", 3},
      {"rank at the limit", R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1],"data_offsets":[0,1]}})", 1},
  };
  for (const Case& c : cases) {
    const std::string bytes = safetensors_bytes(c.header, std::string(c.data_bytes, 'x'));
    const auto header = parse_safetensors_header(as_bytes(bytes), "m");
    EXPECT_TRUE(header.ok()) << c.name << ": " << (header.ok() ? "" : to_string(header.error()));
  }
}

TEST(Safetensors, EveryDtypeOfTheFormatIsListed) {
  const std::pair<const char*, unsigned> dtypes[] = {
      {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},   {"I8", 8},
      {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"I16", 16}, {"F8_E5M2FNUZ", 8},
      {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32}, {"F32", 32},
      {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64},
  };
  for (const auto& [name, bits] : dtypes) {
    const std::string data(bits, 'x');  // 8 elements
    const std::string header =
        std::string(R"({"a":{"dtype":")") + name + R"(","shape":[8],"data_offsets":[0,)" + std::to_string(bits) + "]}}";
    const test::TempFolder folder;
    test::write_text(folder / "m", safetensors_bytes(header, data));
    const auto file = SafetensorsFile::open(folder / "m");
    ASSERT_TRUE(file.ok()) << name << to_string(file.error());
    EXPECT_EQ(file->entries()[0].size_bytes, bits) << name;
    const auto view = file->view("a");
    EXPECT_EQ(view.ok(), dtype_from_name(name).has_value()) << name;
    if (view.ok()) {
      EXPECT_EQ(size_of(view->dtype) * 8, bits) << name;
    } else {
      EXPECT_EQ(view.error().fault, Fault::unsupported);
      EXPECT_EQ(view.error().found, name);
    }
  }
}

// Offsets beyond 2^31 and 2^32 are read right: the file is sparse, so it takes no room.
TEST(Safetensors, FileOfSixGigabytes) {
  const test::TempFolder folder;
  const std::string path = folder / "big.safetensors";
  const std::uint64_t first = 5'000'000'000;
  const std::uint64_t second = 1'000'000'000;
  const std::string header = R"({"big":{"dtype":"U8","shape":[50000,100000],"data_offsets":[0,5000000000]},)"
                             R"("tail":{"dtype":"F32","shape":[250000000],"data_offsets":[5000000000,6000000000]}})";
  test::write_text(path, safetensors_bytes(header, ""));
  const std::uint64_t begin = 8 + header.size();
  std::error_code failure;
  std::filesystem::resize_file(path, begin + first + second, failure);
  if (failure) GTEST_SKIP() << "no sparse files here: " << failure.message();
  {
    std::fstream out(path, std::ios::in | std::ios::out | std::ios::binary);
    out.seekp(static_cast<std::streamoff>(begin + first + second - 4));
    out.write("\x00\x00\x80\x3f", 4);
  }
  const auto file = SafetensorsFile::open(path);
  ASSERT_TRUE(file.ok()) << to_string(file.error());
  const auto tail = file->view("tail");
  ASSERT_TRUE(tail.ok());
  EXPECT_EQ(file->find("tail")->offset_bytes, begin + first);
  float last = 0.0F;
  std::memcpy(&last, tail->bytes.data() + second - 4, 4);
  EXPECT_EQ(last, 1.0F);
  std::filesystem::resize_file(path, begin + first + second - 1, failure);
  EXPECT_FALSE(SafetensorsFile::open(path).ok());
}

TEST(Safetensors, FilesThatAreNoneAreRefused) {
  const test::TempFolder folder;
  EXPECT_EQ(SafetensorsFile::open(folder / "absent").error().fault, Fault::not_found);
  EXPECT_FALSE(SafetensorsFile::open(folder.path()).ok());
  test::write_text(folder / "empty", "");
  const auto empty = SafetensorsFile::open(folder / "empty");
  ASSERT_FALSE(empty.ok());
  EXPECT_EQ(empty.error().fault, Fault::corrupt);
  EXPECT_EQ(empty.error().file, folder / "empty");
}

}  // namespace
}  // namespace quernel::io
