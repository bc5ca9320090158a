#include "export/gptq_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "export/counting_module.h"

namespace quernel::exporting {
namespace {

TEST(GptqWriter, TensorsOfAModule) {
  EXPECT_THAT(
      described(gptq_format().plan(counting_input(true), counting_input(true).modules[0])),
      testing::ElementsAre("m.qweight I32 [2, 8]", "m.qzeros I32 [2, 1]", "m.scales F16 [2, 8]", "m.g_idx I32 [16]"));
}

TEST(GptqWriter, GoldenWords) {
  const Format format = gptq_format();
  const codec::IntegerMatrix matrix = counting_matrix(false);
  // Column n of the first row holds codes n .. n+7 of output n; the second row goes on with n+8.
  EXPECT_EQ(words_of(format, matrix, 0),
            (Words{0x76543210, 0x87654321, 0x98765432, 0xa9876543, 0xba987654, 0xcba98765, 0xdcba9876, 0xedcba987,
                   0xfedcba98, 0x0fedcba9, 0x10fedcba, 0x210fedcb, 0x3210fedc, 0x43210fed, 0x543210fe, 0x6543210f}));
  EXPECT_EQ(words_of(format, matrix, 1), (Words{0x76543210, 0xfedcba98}));                 // v2: as they are
  EXPECT_EQ(words_of(format, counting_matrix(true), 1), (Words{0x77777777, 0x77777777}));  // v1: 8 - 1
  EXPECT_EQ(words_of(format, matrix, 2),                                                   // F16 1, 1.125, 1.25 ...
            (Words{0x3c803c00, 0x3d803d00, 0x3e803e00, 0x3f803f00, 0x3e803e00, 0x3f803f00, 0x40404000, 0x40c04080}));
  EXPECT_EQ(words_of(format, matrix, 3), (Words{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1}));
}

TEST(GptqWriter, SymmetricIsLabelledV1AndAsymmetricV2) {
  const Json symmetric = gptq_format().config(counting_input(true), "0.1.0");
  EXPECT_EQ(dump_json(symmetric),
            R"({"quant_method":"gptq","bits":4,"group_size":8,"desc_act":false,"sym":true,"lm_head":false,)"
            R"("checkpoint_format":"gptq","format":"gptq","pack_dtype":"int32",)"
            R"("meta":{"quantizer":["quernel:0.1.0"],"method":"rtn"}})");
  const Json asymmetric = gptq_format().config(counting_input(false), "0.1.0");
  EXPECT_EQ(asymmetric["checkpoint_format"], "gptq_v2");
  EXPECT_EQ(asymmetric["sym"], false);
}

TEST(GptqWriter, DenseModulesBecomeNegativePatterns) {
  FormatInput input = counting_input(true);
  input.dense_modules = {"model.layers.0.mlp.down_proj"};
  const Json config = gptq_format().config(input, "0.1.0");
  EXPECT_TRUE(config["dynamic"].contains("-:^model\\.layers\\.0\\.mlp\\.down_proj$"));
}

TEST(GptqWriter, ScatteredGroupsSetDescAct) {
  FormatInput input = counting_input(true);
  input.scattered_groups = true;
  EXPECT_EQ(gptq_format().config(input, "0.1.0")["desc_act"], true);
}

}  // namespace
}  // namespace quernel::exporting
