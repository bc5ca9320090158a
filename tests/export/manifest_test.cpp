#include "export/manifest.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/sha256.h"
#include "export/tiny_model.h"
#include "support/temp_folder.h"

namespace quernel::exporting {
namespace {

Manifest sample() {
  Manifest manifest;
  manifest.tool = "quernel 0.1.0";
  manifest.format = "gptq";
  manifest.complete = true;
  manifest.source["name"] = "tiny";
  manifest.quantization["bits"] = 4;
  manifest.files = {"config.json"};
  manifest.tensors["a.qweight"] = {"I32", {8, 64}, "model.safetensors", std::string(64, '0')};
  manifest.modules["a"] = {{"a.qweight"}, std::string(64, '1')};
  return manifest;
}

TEST(Manifest, SurvivesTheDisk) {
  const test::TempFolder temp;
  ASSERT_TRUE(write_manifest(temp.path(), sample()).ok());
  const auto back = read_manifest(temp.path());
  ASSERT_TRUE(back.ok()) << to_string(back.error());
  EXPECT_EQ(dump_json(to_json(*back)), dump_json(to_json(sample())));
}

TEST(Manifest, RefusesWhatItCannotMean) {
  const auto field_of = [](auto change) {
    Json json = to_json(sample());
    change(json);
    const auto result = manifest_from_json(json);
    return result.ok() ? std::string("accepted") : result.error().field;
  };
  EXPECT_EQ(field_of([](Json&) {}), "accepted");
  EXPECT_EQ(field_of([](Json& j) { j["schema"] = 2; }), "schema");
  EXPECT_EQ(field_of([](Json& j) { j.erase("complete"); }), "complete");
  EXPECT_EQ(field_of([](Json& j) { j["tensors"] = Json::array(); }), "tensors");
  EXPECT_EQ(field_of([](Json& j) { j["tensors"]["a.qweight"]["shape"] = {1.5}; }), "shape");
  EXPECT_EQ(field_of([](Json& j) { j["tensors"]["a.qweight"] = 1; }), "tensors");
  EXPECT_EQ(field_of([](Json& j) { j["modules"]["a"].erase("dequantized_sha256"); }), "dequantized_sha256");
  EXPECT_EQ(field_of([](Json& j) { j["files"] = {1}; }), "files");
  EXPECT_FALSE(manifest_from_json(Json::array()).ok());
}

TEST(Manifest, DequantizedHashIsOfTheFloatsInOrder) {
  Matrix weight(3, 40);
  for (std::int64_t i = 0; i < weight.size(); ++i) weight.data()[i] = static_cast<float>(i * 37 % 101) - 50.0F;
  model::QuantizationInfo info = test::tiny_info(3, 16, false);
  for (const bool scattered : {false, true}) {
    info.act_order = scattered;
    info.static_groups = !scattered;
    const codec::IntegerMatrix matrix = test::round_matrix(weight.view(), info);
    const Matrix dense = codec::dequantize(matrix);
    EXPECT_EQ(dequantized_sha256(matrix), sha256_hex(std::as_bytes(std::span(dense.data(), 120))));
  }
}

}  // namespace
}  // namespace quernel::exporting
