#include "export/quernel_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "export/tiny_model.h"
#include "export/verify.h"
#include "support/temp_folder.h"
#include "tensor/half.h"

namespace quernel::exporting {
namespace {

using test::TinyCase;
using testing::HasSubstr;

// Plain rounding to two levels with the middle zero point: every group scale holds in INT8 then.
codec::IntegerMatrix two_level_matrix(ConstMatrixView weight, const model::QuantizationInfo& info) {
  codec::IntegerMatrix matrix = test::round_matrix(weight, info);
  const std::int64_t groups = matrix.num_groups();
  matrix.levels.emplace();
  matrix.levels->group_scales.resize(matrix.scales.size());
  for (std::int64_t row = 0; row < weight.rows; ++row) {
    float largest = 0.0F;
    for (const float value : weight.row(row)) largest = std::max(largest, std::abs(value));
    const float row_scale = f16_to_float(float_to_f16(largest / 119.0F));
    matrix.levels->row_scales.push_back(row_scale);
    for (std::int64_t group = 0; group < groups; ++group) {
      const auto place = static_cast<std::size_t>(row * groups + group);
      const int scale = std::clamp(static_cast<int>(matrix.scales[place] / row_scale + 1), 1, 16);
      matrix.zero_points[place] = 8;
      matrix.levels->group_scales[place] = static_cast<std::uint8_t>(scale);
      matrix.scales[place] = row_scale * static_cast<float>(scale);
    }
    for (std::int64_t col = 0; col < weight.cols; ++col) {
      const float step = matrix.scales[static_cast<std::size_t>(row * groups + col / matrix.group_size)];
      matrix.codes[static_cast<std::size_t>(row * weight.cols + col)] =
          static_cast<std::uint8_t>(std::clamp(std::nearbyint(weight(row, col) / step) + 8.0F, 0.0F, 15.0F));
    }
  }
  return matrix;
}

TinyCase two_level_case(const std::string& folder, std::int64_t group_size) {
  TinyCase tiny(folder, test::tiny_info(4, group_size, false));
  tiny.result.info.method = "qoq";
  for (auto& [name, matrix] : tiny.result.modules) {
    const Matrix weight = tiny.source.read_weight(name).value();
    matrix = two_level_matrix(weight.view(), tiny.result.info);
  }
  return tiny;
}

Status export_native(const TinyCase& tiny, const std::string& out) {
  ExportOptions options;
  options.formats = {"quernel"};
  auto written = export_checkpoints(tiny.input(), out, options, sys::null_progress());
  if (!written.ok()) return std::move(written).error();
  return ok_status();
}

TEST(QuernelWriter, ReaderGivesTheSameMatrices) {
  for (const std::int64_t group_size : {32, 64, 128, -1}) {  // widths 64 and 96: also a tail group, and one group a row
    const test::TempFolder temp;
    const TinyCase tiny = two_level_case(temp.path(), group_size);
    const Status status = export_native(tiny, temp / "out");
    ASSERT_TRUE(status.ok()) << to_string(status.error());
    const auto verified = verify_result(temp / "out", tiny.input());
    ASSERT_TRUE(verified.ok()) << to_string(verified.error());
    for (const Check& check : verified->checks) {
      EXPECT_EQ(check.outcome, Outcome::passed) << check.name << ": " << check.detail;
    }
    const auto written = model::Checkpoint::open(temp / "out");
    ASSERT_TRUE(written.ok()) << to_string(written.error());
    EXPECT_EQ(written->quantization()->method, "qoq");
    EXPECT_EQ(written->quantization()->format, "two-level-int4");
    EXPECT_EQ(written->quantization()->group_size, group_size);
    EXPECT_TRUE(written->extra_tensors().empty());
    const std::string module = "model.layers.0.mlp.down_proj";
    EXPECT_EQ(written->find(module + ".codes")->stored_type, "U8");
    EXPECT_EQ(written->find(module + ".scales")->stored_type, "F16");
    EXPECT_TRUE(written->read_quantized(module)->levels.has_value());
    EXPECT_TRUE(verify_output(temp / "out", &tiny.source)->front().passed());
  }
}

void replace_in_file(const std::string& path, const std::string& from, const std::string& to) {
  std::string text = test::read_text(path);
  const std::size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
  std::ofstream(path, std::ios::binary) << text;
}

TEST(QuernelWriter, OtherVersionsAreRefused) {
  const test::TempFolder temp;
  ASSERT_TRUE(export_native(two_level_case(temp.path(), 32), temp / "out").ok());
  const std::string config = temp / "out" + "/config.json";
  replace_in_file(config, "\"version\": 1", "\"version\": 3");
  const auto newer = model::Checkpoint::open(temp / "out");
  ASSERT_FALSE(newer.ok());
  EXPECT_EQ(newer.error().fault, Fault::unsupported);
  EXPECT_THAT(to_string(newer.error()), HasSubstr("version"));
  replace_in_file(config, "\"version\": 3", "\"version\": 1");
  replace_in_file(config, "two-level-int4", "two-level-int3");
  EXPECT_EQ(model::Checkpoint::open(temp / "out").error().field, "format");
}

constexpr const char* kListed = "model.layers.0.mlp.down_proj";

TinyCase listed_case(const std::string& folder) {
  TinyCase tiny = two_level_case(folder, 32);
  tiny.result.info.outliers = true;
  codec::IntegerMatrix& matrix = tiny.result.modules.at(kListed);
  for (const codec::Outlier one :
       {codec::Outlier{2, 5, 3.25F}, codec::Outlier{2, 40, -1e-3F}, codec::Outlier{9, 0, 77.0F}}) {
    matrix.codes[static_cast<std::size_t>(one.row * matrix.cols + one.col)] = 8;
    matrix.outliers.push_back(one);
  }
  return tiny;
}

TEST(QuernelWriter, ListsAreKeptAndMakeVersionTwo) {
  const test::TempFolder temp;
  const TinyCase tiny = listed_case(temp.path());
  const Status status = export_native(tiny, temp / "out");
  ASSERT_TRUE(status.ok()) << to_string(status.error());
  EXPECT_THAT(test::read_text(temp / "out" + "/config.json"), HasSubstr("\"version\": 2"));
  const auto verified = verify_result(temp / "out", tiny.input());
  ASSERT_TRUE(verified.ok());
  for (const Check& check : verified->checks) {
    const bool expected = check.name == "closeness" || check.outcome == Outcome::passed;
    EXPECT_TRUE(expected) << check.name << ": " << check.detail;
  }
  const auto written = model::Checkpoint::open(temp / "out");
  ASSERT_TRUE(written.ok()) << to_string(written.error());
  EXPECT_TRUE(written->quantization()->outliers);
  EXPECT_TRUE(written->extra_tensors().empty());
  EXPECT_EQ(written->read_quantized(kListed)->outliers, tiny.result.modules.at(kListed).outliers);
  EXPECT_EQ((*written->read_weight(kListed))(9, 0), 77.0F);
  EXPECT_EQ(written->find(std::string(kListed) + ".outlier_index")->stored_type, "I32");
  EXPECT_EQ(written->find("model.layers.0.mlp.up_proj.outlier_index"), nullptr);
}

TEST(QuernelWriter, WithoutListsTheBytesAreThoseOfVersionOne) {
  const test::TempFolder temp;
  TinyCase tiny = two_level_case(temp.path(), 32);
  ASSERT_TRUE(export_native(tiny, temp / "plain").ok());
  tiny.result.info.outliers = true;  // asked for, none found
  ASSERT_TRUE(export_native(tiny, temp / "asked").ok());
  for (const char* file : {"/model.safetensors", "/config.json"}) {
    EXPECT_EQ(test::read_text(temp / "plain" + file), test::read_text(temp / "asked" + file)) << file;
  }
}

TEST(QuernelWriter, DamagedListsAreRefused) {
  const test::TempFolder temp;
  ASSERT_TRUE(export_native(listed_case(temp.path()), temp / "out").ok());
  const std::string config = temp / "out" + "/config.json";
  replace_in_file(config, "\"version\": 2", "\"version\": 1");
  EXPECT_THAT(to_string(model::Checkpoint::open(temp / "out").error()), HasSubstr("version 2"));
  replace_in_file(config, "\"version\": 1", "\"version\": 2");
  const std::string weights = temp / "out" + "/model.safetensors";
  const std::string whole = test::read_text(weights);
  replace_in_file(weights, "down_proj.outlier_values", "down_proj.outlier_valuex");
  EXPECT_THAT(to_string(model::Checkpoint::open(temp / "out").error()), HasSubstr("missing"));
  std::ofstream(weights, std::ios::binary) << whole;
  replace_in_file(weights, "\"shape\":[3,2]", "\"shape\":[2,3]");
  EXPECT_THAT(to_string(model::Checkpoint::open(temp / "out").error()), HasSubstr("outlier_index"));
}

TEST(QuernelWriter, ListsNeedAFormatWithAPlaceForThem) {
  const test::TempFolder temp;
  TinyCase tiny = listed_case(temp.path());
  FormatInput input{tiny.result.info, {{"a.b", model::Site::mlp_out, 64, 128, {}}}, {}, false};
  for (const Format& format : formats()) {
    const Status status = check_holdable(format, input);
    EXPECT_EQ(status.ok(), std::string(format.name) == "quernel") << format.name;
    if (status.ok()) continue;
    EXPECT_THAT(to_string(status.error()), HasSubstr("super-weights")) << format.name;
  }
  tiny.result.info.outliers = false;  // a list that nobody announced
  EXPECT_THAT(to_string(export_native(tiny, temp / "out").error()), HasSubstr("outliers"));
}

TEST(QuernelWriter, AFlippedBitIsFound) {
  const test::TempFolder temp;
  const TinyCase tiny = two_level_case(temp.path(), 32);
  ASSERT_TRUE(export_native(tiny, temp / "out").ok());
  const std::string path = temp / "out" + "/model.safetensors";
  std::string bytes = test::read_text(path);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  std::ofstream(path, std::ios::binary) << bytes;
  const auto verified = verify_output(temp / "out", nullptr);
  ASSERT_TRUE(verified.ok());
  EXPECT_FALSE(verified->front().passed());
}

TEST(QuernelWriter, OneLevelIsNotWrittenAsTwoNorTwoAsOne) {
  const test::TempFolder temp;
  const TinyCase plain(temp.path(), test::tiny_info(4, 32, false));
  EXPECT_THAT(to_string(export_native(plain, temp / "out").error()), HasSubstr("two levels"));
  const test::TempFolder other;
  const TinyCase two = two_level_case(other.path(), 32);
  ExportOptions options;
  options.formats = {"gptq"};
  const auto refused = export_checkpoints(two.input(), other / "out", options, sys::null_progress());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().fault, Fault::unsupported);
}

TEST(QuernelWriter, HoldsOnlineTransformsAndRefusesOtherGroups) {
  FormatInput input{test::tiny_info(4, 32, false), {{"a.b", model::Site::attention_in, 64, 128, {}}}, {}, false};
  input.online_transforms = true;
  EXPECT_TRUE(check_holdable(quernel_format(), input).ok());
  input.info.group_size = 40;
  EXPECT_THAT(check_holdable(quernel_format(), input).error().hint, HasSubstr("32"));
  input.info = test::tiny_info(3, 32, false);
  EXPECT_EQ(check_holdable(quernel_format(), input).error().field, "bits");
  input.info = test::tiny_info(4, 32, false);
  input.info.scale_dtype = DType::f32;
  EXPECT_EQ(check_holdable(quernel_format(), input).error().field, "scale_dtype");
}

}  // namespace
}  // namespace quernel::exporting
