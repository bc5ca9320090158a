#include "export/side_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "export/tiny_model.h"
#include "support/shared_data.h"
#include "support/temp_folder.h"

namespace quernel::exporting {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

TEST(SideFiles, BaseModelNames) {
  EXPECT_EQ(base_model_name("/a/SmolLM2-135M"), "SmolLM2-135M");
  EXPECT_EQ(base_model_name("/a/SmolLM2-135M/"), "SmolLM2-135M");
  EXPECT_EQ(base_model_name("SmolLM2-135M.Q4_1.gguf"), "SmolLM2-135M.Q4_1");
}

TEST(SideFiles, CardStatesWhatWasDone) {
  CardFacts facts;
  facts.base_model = "a \"quoted\": name";
  facts.tool = "quernel 0.1.0";
  facts.format = "gptq";
  facts.info = test::tiny_info(4, -1, true);
  facts.num_quantized = 14;
  facts.notes = {"one note"};
  const std::string card = model_card(facts);
  EXPECT_TRUE(card.starts_with("---\nbase_model: \"a \\\"quoted\\\": name\"\nbase_model_relation: quantized\n"));
  EXPECT_THAT(card, HasSubstr("4 bits, one group a row, symmetric"));
  EXPECT_THAT(card, HasSubstr("- one note\n"));
}

TEST(SideFiles, CopiesKeepTheirBytesAndTheCardIsOurs) {
  const test::TempFolder temp;
  test::write_tiny_model(temp / "source", {});
  test::write_text(temp / "source/README.md", "theirs");
  test::write_text(temp / "source/generation_config.json", "{\"eos_token_id\": [2, 3]}");
  fs::create_directories(temp / "out");
  const auto source = model::Checkpoint::open(temp / "source");
  ASSERT_TRUE(source.ok());
  const auto written = write_side_files(*source, temp / "out");
  ASSERT_TRUE(written.ok()) << to_string(written.error());
  EXPECT_THAT(*written, testing::UnorderedElementsAre("LICENSE", "generation_config.json", "tokenizer.json"));
  EXPECT_EQ(test::read_text(temp / "out/generation_config.json"), "{\"eos_token_id\": [2, 3]}");
  EXPECT_FALSE(fs::exists(temp / "out/README.md"));
}

TEST(SideFiles, GgufSourcesGetTokenizerFiles) {
  const auto path = test::test_model();
  if (!path) GTEST_SKIP() << "QUERNEL_TEST_MODEL is not set";
  const test::TempFolder temp;
  const auto source = model::Checkpoint::open(*path);
  ASSERT_TRUE(source.ok()) << to_string(source.error());
  const auto written = write_side_files(*source, temp.path());
  ASSERT_TRUE(written.ok()) << to_string(written.error());
  EXPECT_THAT(*written, testing::IsSupersetOf({"tokenizer.json", "tokenizer_config.json", "generation_config.json"}));
  for (const std::string& name : *written) {
    if (!name.ends_with(".json")) continue;
    EXPECT_TRUE(parse_json(test::read_text(temp / name), name).ok()) << name;
  }
}

}  // namespace
}  // namespace quernel::exporting
