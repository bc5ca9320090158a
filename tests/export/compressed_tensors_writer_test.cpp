#include "export/compressed_tensors_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "export/counting_module.h"

namespace quernel::exporting {
namespace {

TEST(CompressedTensorsWriter, TensorsOfAModule) {
  EXPECT_THAT(described(compressed_tensors_format().plan(counting_input(false), counting_input(false).modules[0])),
              testing::ElementsAre("m.weight_packed I32 [8, 2]", "m.weight_scale F32 [8, 2]", "m.weight_shape I64 [2]",
                                   "m.weight_zero_point I32 [1, 2]"));
  EXPECT_EQ(compressed_tensors_format().plan(counting_input(true), counting_input(true).modules[0]).size(), 3U);
}

TEST(CompressedTensorsWriter, GoldenWords) {
  const Format format = compressed_tensors_format();
  const codec::IntegerMatrix matrix = counting_matrix(false);
  EXPECT_EQ(words_of(format, matrix, 0),
            (Words{0x76543210, 0xfedcba98, 0x87654321, 0x0fedcba9, 0x98765432, 0x10fedcba, 0xa9876543, 0x210fedcb,
                   0xba987654, 0x3210fedc, 0xcba98765, 0x43210fed, 0xdcba9876, 0x543210fe, 0xedcba987, 0x6543210f}));
  EXPECT_EQ(words_of(format, matrix, 1),
            (Words{0x3e003c00, 0x3e803c80, 0x3f003d00, 0x3f803d80, 0x40003e00, 0x40403e80, 0x40803f00, 0x40c03f80}));
  EXPECT_EQ(words_of(format, matrix, 2), (Words{8, 0, 16, 0}));
  EXPECT_EQ(words_of(format, matrix, 3), (Words{0x76543210, 0xfedcba98}));
}

TEST(CompressedTensorsWriter, ScalesAreWideWhereFloatLoadingNeedsIt) {
  const Format format = compressed_tensors_format();
  for (const bool symmetric : {false, true}) {
    for (const DType model_dtype : {DType::f32, DType::f16}) {
      for (const bool compact : {false, true}) {
        FormatInput input = counting_input(symmetric);
        input.model_dtype = model_dtype;
        input.compact_scales = compact;
        const bool wide = !compact && (!symmetric || model_dtype == DType::f32);
        EXPECT_EQ(format.plan(input, input.modules[0])[1].dtype, wide ? DType::f32 : DType::f16);
        const auto bytes = format.pack.at(1)(input, counting_matrix(symmetric));
        ASSERT_TRUE(bytes.ok());
        ASSERT_EQ(bytes->size(), wide ? 64U : 32U);
        if (!wide) continue;
        std::vector<float> scales(16);
        std::memcpy(scales.data(), bytes->data(), 64);
        EXPECT_EQ(scales, counting_matrix(symmetric).scales);
      }
    }
  }
}

// Without the key Transformers 5 refuses packed zero points; symmetric modules need it not.
TEST(CompressedTensorsWriter, AsymmetricModulesAskToBeDequantizedAtLoad) {
  EXPECT_EQ(compressed_tensors_format().config(counting_input(false), "0.1.0")["dequantize"], true);
  EXPECT_FALSE(compressed_tensors_format().config(counting_input(true), "0.1.0").contains("dequantize"));
}

TEST(CompressedTensorsWriter, Configuration) {
  FormatInput input = counting_input(false);
  input.info.act_order = true;
  input.dense_modules = {"x.y"};
  EXPECT_EQ(
      dump_json(compressed_tensors_format().config(input, "0.1.0")),
      R"({"quant_method":"compressed-tensors","version":"0.20.0","format":"pack-quantized",)"
      R"("quantization_status":"compressed","global_compression_ratio":null,"config_groups":{"group_0":{)"
      R"("targets":["Linear"],"weights":{"num_bits":4,"type":"int","symmetric":false,"strategy":"group",)"
      R"("group_size":8,"dynamic":false,"actorder":"weight"},"input_activations":null,"output_activations":null}},)"
      R"("ignore":["lm_head","x.y"],"kv_cache_scheme":null,"dequantize":true})");
  input.info.group_size = -1;
  const Json weights = compressed_tensors_format().config(input, "0.1.0")["config_groups"]["group_0"]["weights"];
  EXPECT_EQ(weights["strategy"], "channel");
  EXPECT_TRUE(weights["group_size"].is_null());
}

}  // namespace
}  // namespace quernel::exporting
