#include "export/awq_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>

#include "export/counting_module.h"
#include "export/verify.h"
#include "support/temp_folder.h"

namespace quernel::exporting {
namespace {

using test::TinyCase;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(AwqWriter, TensorsOfAModule) {
  EXPECT_THAT(described(awq_format().plan(counting_input(true), counting_input(true).modules[0])),
              ElementsAre("m.qweight I32 [16, 1]", "m.qzeros I32 [2, 1]", "m.scales F16 [2, 8]"));
  FormatInput whole_row = counting_input(true);
  whole_row.info.group_size = -1;
  EXPECT_THAT(described(awq_format().plan(whole_row, whole_row.modules[0])),
              ElementsAre("m.qweight I32 [16, 1]", "m.qzeros I32 [1, 1]", "m.scales F16 [1, 8]"));
}

TEST(AwqWriter, GoldenWords) {
  const Format format = awq_format();
  const codec::IntegerMatrix matrix = counting_matrix(false);
  // Input k holds codes k .. k+7 of outputs 0 .. 7, in the order 0 2 4 6 1 3 5 7 from the lowest bits on.
  EXPECT_EQ(words_of(format, matrix, 0),
            (Words{0x75316420, 0x86427531, 0x97538642, 0xa8649753, 0xb975a864, 0xca86b975, 0xdb97ca86, 0xeca8db97,
                   0xfdb9eca8, 0x0ecafdb9, 0x1fdb0eca, 0x20ec1fdb, 0x31fd20ec, 0x420e31fd, 0x531f420e, 0x6420531f}));
  EXPECT_EQ(words_of(format, matrix, 1), (Words{0x75316420, 0xfdb9eca8}));                 // zeros as they are
  EXPECT_EQ(words_of(format, counting_matrix(true), 1), (Words{0x88888888, 0x88888888}));  // symmetric: 8
  EXPECT_EQ(words_of(format, matrix, 2),                                                   // F16 1, 1.125, 1.25 ...
            (Words{0x3c803c00, 0x3d803d00, 0x3e803e00, 0x3f803f00, 0x3e803e00, 0x3f803f00, 0x40404000, 0x40c04080}));
}

TEST(AwqWriter, ConfigHasTheKeysOfAutoAwq) {
  for (const bool symmetric : {false, true}) {  // no reader knows symmetric grids: zeros of 8
    EXPECT_EQ(dump_json(awq_format().config(counting_input(symmetric), "0.1.0")),
              R"({"quant_method":"awq","bits":4,"group_size":8,"zero_point":true,"version":"gemm",)"
              R"("modules_to_not_convert":null})");
  }
}

// The rules as the readers have them: AutoAWQ looks for a piece of the name within its layer, vLLM for a piece of the full
// name, Transformers for a pattern from the start on that ends with a name, or for an ending.
bool left_out_by_pieces(const std::vector<std::string>& keys, const std::string& name) {
  return std::any_of(keys.begin(), keys.end(),
                     [&](const std::string& key) { return name.find(key) != std::string::npos; });
}

bool left_out_by_transformers(const std::vector<std::string>& keys, const std::string& name) {
  return std::any_of(keys.begin(), keys.end(), [&](const std::string& key) {
    std::smatch found;
    const bool starts = std::regex_search(name, found, std::regex("^(?:" + key + ")(?:\\.|$)"));
    return starts || name.ends_with(key);
  });
}

struct DenseCase {
  FormatInput input;
  std::vector<std::string> keys;

  explicit DenseCase(const std::function<bool(int layer, const std::string& place)>& is_dense) {
    input.info = test::tiny_info(4, 32, false);
    for (int layer = 0; layer < 12; ++layer) {
      for (const char* place : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.qkv_proj", "mlp.gate_proj",
                                "mlp.up_proj", "mlp.gate_up_proj", "mlp.down_proj"}) {
        const std::string name = "model.layers." + std::to_string(layer) + "." + place;
        if (is_dense(layer, place)) {
          input.dense_modules.push_back(name);
        } else {
          input.modules.push_back({name, model::Site::mlp_in, 64, 64, {}});
        }
      }
    }
    keys = awq_format().config(input, "")["modules_to_not_convert"].get<std::vector<std::string>>();
  }

  [[nodiscard]] bool is_dense(const std::string& name) const {
    return std::find(input.dense_modules.begin(), input.dense_modules.end(), name) != input.dense_modules.end();
  }
};

TEST(AwqWriter, DenseModulesAreTheSameToEveryReader) {
  const DenseCase some([](int layer, const std::string& place) { return layer == 1 && place == "mlp.up_proj"; });
  const DenseCase all([](int, const std::string& place) { return place == "mlp.up_proj"; });
  for (const DenseCase* one : {&some, &all}) {
    std::vector<std::string> names = one->input.dense_modules;
    for (const model::LinearModule& module : one->input.modules) names.push_back(module.name);
    for (const std::string& name : names) {
      EXPECT_EQ(left_out_by_pieces(one->keys, name), one->is_dense(name)) << name;
      EXPECT_EQ(left_out_by_transformers(one->keys, name), one->is_dense(name)) << name;
    }
  }
  // Names within a layer are all that AutoAWQ compares: it can leave out a module of every layer only.
  EXPECT_THAT(some.keys, ElementsAre("model.layers.1.mlp.up_proj"));
  EXPECT_THAT(awq_format().notes(some.input), testing::Contains(HasSubstr("AutoAWQ")));
  EXPECT_TRUE(left_out_by_pieces(all.keys, "mlp.up_proj"));
  EXPECT_FALSE(left_out_by_pieces(all.keys, "mlp.gate_up_proj"));
  EXPECT_THAT(awq_format().notes(all.input), testing::IsEmpty());
}

FormatInput holdable_input() {
  return {test::tiny_info(4, 32, false), {{"a.b", model::Site::attention_in, 64, 128, {}}}, {}, false};
}

TEST(AwqWriter, RefusesWithTheNearestValidOption) {
  EXPECT_TRUE(check_holdable(awq_format(), holdable_input()).ok());
  const auto refusal = [](const std::function<void(FormatInput&)>& change) {
    FormatInput input = holdable_input();
    change(input);
    const Status status = check_holdable(awq_format(), input);
    EXPECT_FALSE(status.ok());
    if (status.ok()) return Error();
    EXPECT_EQ(status.error().fault, Fault::unsupported);
    return status.error();
  };
  for (const int bits : {2, 3, 8}) {
    const Error error = refusal([&](FormatInput& input) { input.info.bits = bits; });
    EXPECT_EQ(error.field, "bits");
    EXPECT_EQ(error.expected, "4");
  }
  const Error group = refusal([](FormatInput& input) { input.info.group_size = 48; });
  EXPECT_EQ(group.field, "group_size");
  EXPECT_THAT(group.hint, HasSubstr("32"));
  const Error scales = refusal([](FormatInput& input) { input.info.scale_dtype = DType::bf16; });
  EXPECT_EQ(scales.field, "scale_dtype");
  EXPECT_EQ(scales.expected, "F16");
  const Error scattered = refusal([](FormatInput& input) { input.scattered_groups = true; });
  EXPECT_EQ(scattered.field, "act_order");
  EXPECT_THAT(scattered.hint, HasSubstr("static groups"));
  const Error online = refusal([](FormatInput& input) { input.online_transforms = true; });
  EXPECT_EQ(online.field, "quernel_runtime");
  const Error width = refusal([](FormatInput& input) { input.modules[0].rows = 60; });
  EXPECT_EQ(width.field, "shape");
  EXPECT_EQ(width.tensor, "a.b");
  EXPECT_THAT(width.expected, HasSubstr("multiples of 8"));
  EXPECT_THAT(width.hint, HasSubstr("compressed-tensors"));
}

TEST(AwqWriter, NotesSayWhichKernelRefuses) {
  EXPECT_THAT(awq_format().notes(holdable_input()), testing::IsEmpty());
  FormatInput input = holdable_input();
  input.info.group_size = 16;
  EXPECT_THAT(awq_format().notes(input), ElementsAre(HasSubstr("not 16")));
  input.info.group_size = -1;
  input.modules[0].rows = 72;
  EXPECT_THAT(awq_format().notes(input), ElementsAre(HasSubstr("Marlin")));
}

Status export_awq(const TinyCase& tiny, const std::string& out) {
  ExportOptions options;
  options.formats = {"awq"};
  auto written = export_checkpoints(tiny.input(), out, options, sys::null_progress());
  return written.ok() ? ok_status() : Status(std::move(written).error());
}

// Act-order leaves no trace where groups are static.
TEST(AwqWriter, ReaderGivesTheSameMatrices) {
  for (const std::int64_t group_size : {-1, 8, 32}) {
    for (const bool symmetric : {false, true}) {
      const test::TempFolder temp;
      model::QuantizationInfo info = test::tiny_info(4, group_size, symmetric);
      info.act_order = true;
      const TinyCase tiny(temp.path(), info);
      const Status status = export_awq(tiny, temp / "out");
      ASSERT_TRUE(status.ok()) << to_string(status.error());
      const auto verified = verify_result(temp / "out", tiny.input());
      ASSERT_TRUE(verified.ok()) << to_string(verified.error());
      for (const Check& check : verified->checks) {
        EXPECT_EQ(check.outcome, Outcome::passed) << check.name << ": " << check.detail;
      }
      const auto written = model::Checkpoint::open(temp / "out");
      ASSERT_TRUE(written.ok()) << to_string(written.error());
      EXPECT_TRUE(written->extra_tensors().empty());
      EXPECT_EQ(written->quantization()->method, "awq");
      EXPECT_EQ(written->quantization()->format, "gemm");
      EXPECT_EQ(written->quantization()->group_size, group_size);
      EXPECT_FALSE(written->quantization()->symmetric);
    }
  }
}

TEST(AwqWriter, ScatteredGroupsAreRefusedBeforeAnythingIsWritten) {
  const test::TempFolder temp;
  model::QuantizationInfo info = test::tiny_info(4, 32, false);
  info.act_order = true;
  info.static_groups = false;
  const Status status = export_awq(TinyCase(temp.path(), info), temp / "out");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().field, "act_order");
  EXPECT_FALSE(model::Checkpoint::open(temp / "out").ok());
}

}  // namespace
}  // namespace quernel::exporting
