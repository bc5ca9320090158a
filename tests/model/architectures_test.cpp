#include "model/architectures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace quernel::model {
namespace {

using ::testing::HasSubstr;

TEST(Architectures, RowsAreUniqueAndWhole) {
  std::set<std::string_view> families, names, types, gguf;
  for (const Architecture& row : architectures()) {
    EXPECT_TRUE(families.insert(row.family).second) << row.family;
    EXPECT_TRUE(names.insert(row.hf_name).second) << row.hf_name;
    EXPECT_TRUE(types.insert(row.hf_model_type).second) << row.hf_model_type;
    if (!row.gguf_name.empty()) {
      EXPECT_TRUE(gguf.insert(row.gguf_name).second) << row.gguf_name;
    }
    EXPECT_NE(row.fill, nullptr) << row.family;
    ModelConfig config;
    config.family = row.family;
    EXPECT_EQ(&architecture_of(config), &row);
  }
  EXPECT_EQ(families.size(), 10U);
}

TEST(Architectures, AreFoundByEachName) {
  EXPECT_EQ((*find_architecture(Json{{"architectures", {"Qwen2ForCausalLM"}}}))->family, "qwen2");
  EXPECT_EQ((*find_architecture(Json{{"model_type", "olmo2"}}))->family, "olmo2");
  EXPECT_EQ((*find_architecture(Json{{"architectures", {"Gemma3ForConditionalGeneration"}}}))->family, "gemma3");
  EXPECT_EQ((*find_gguf_architecture("smollm3"))->family, "smollm3");
  EXPECT_FALSE(find_gguf_architecture("").ok());  // Mistral's row has no name there
}

TEST(Architectures, UnknownOnesListWhatIsSupported) {
  const Error error = find_gguf_architecture("rwkv7").error();
  EXPECT_EQ(error.fault, Fault::unsupported);
  EXPECT_THAT(error.message, HasSubstr("rwkv7"));
  EXPECT_THAT(error.expected, HasSubstr("GraniteForCausalLM"));
  EXPECT_THAT(supported_architectures(), HasSubstr("LlamaForCausalLM, MistralForCausalLM"));
}

}  // namespace
}  // namespace quernel::model
