#include "model/tokenizer_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/tiny_models.h"
#include "model/tiny_vocabulary.h"
#include "support/shared_data.h"

namespace quernel::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(TokenizerSource, GgufVocabularyWithoutTensors) {
  const test::TempFolder folder;
  write_gguf(folder / "vocab.gguf", byte_level_pairs(), {});
  const Result<text::Tokenizer> tokenizer = load_tokenizer(folder / "vocab.gguf");
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  EXPECT_THAT(tokenizer->encode("abab ab"), ElementsAre(257, 257, 258));
  EXPECT_THAT(tokenizer->encode("a<end>", {}), ElementsAre('a', 259));
  EXPECT_EQ(tokenizer->vocabulary().eos, 259);
}

TEST(TokenizerSource, GgufCheckpoint) {
  const test::TempFolder folder;
  auto pairs = tiny_gguf_pairs("qwen3");
  for (const std::string& pair : byte_level_pairs()) pairs.push_back(pair);
  Json config = tiny_config("Qwen3ForCausalLM", "qwen3");
  config["vocab_size"] = 260;
  write_gguf_model(folder / "model.gguf", pairs, config);
  const Result<Checkpoint> checkpoint = Checkpoint::open(folder / "model.gguf");
  ASSERT_TRUE(checkpoint.ok()) << to_string(checkpoint.error());
  EXPECT_THAT(checkpoint->config().eos_token_ids, ElementsAre(259));
  const Result<text::Tokenizer> tokenizer = load_tokenizer(*checkpoint);
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  EXPECT_THAT(tokenizer->encode("ab"), ElementsAre(257));
}

TEST(TokenizerSource, MissingAndBrokenFiles) {
  const test::TempFolder folder;
  EXPECT_EQ(load_tokenizer(folder / "absent").error().fault, Fault::not_found);
  const Error none = load_tokenizer(folder.path()).error();
  EXPECT_EQ(none.fault, Fault::not_found);
  EXPECT_THAT(none.message, HasSubstr("tokenizer.json"));
  test::write_text(folder / "tokenizer.json", R"({"model": {"type": "BPE")");
  EXPECT_EQ(load_tokenizer(folder.path()).error().fault, Fault::corrupt);
  EXPECT_THAT(load_tokenizer(folder / "tokenizer.json").error().file, HasSubstr("tokenizer.json"));
  write_gguf(folder / "bare.gguf", {gguf_text("general.architecture", "llama")}, {});
  const Error bare = load_tokenizer(folder / "bare.gguf").error();
  EXPECT_EQ(bare.field, "tokenizer.ggml.model");
  EXPECT_THAT(bare.file, HasSubstr("bare.gguf"));
}

TEST(TokenizerSource, WrongKindsOfValuesAreRefused) {
  const std::string key = "tokenizer.ggml.";
  for (const std::string& wrong :
       {gguf_u32(key + "tokens", 3), gguf_text(key + "scores", "x"), gguf_text(key + "bos_token_id", "one"),
        gguf_u32(key + "bos_token_id", 4000000000U), gguf_text(key + "add_bos_token", "yes"),
        test::pair_bytes(key + "token_type", test::kArray,
                         test::array_bytes(test::kI64, 1, test::number_bytes(std::int64_t{1} << 40)))}) {
    const test::TempFolder folder;
    auto pairs = byte_level_pairs();
    std::erase_if(pairs, [&](const std::string& pair) { return pair.substr(0, 24) == wrong.substr(0, 24); });
    pairs.push_back(wrong);
    write_gguf(folder / "wrong.gguf", pairs, {});
    EXPECT_FALSE(load_tokenizer(folder / "wrong.gguf").ok()) << wrong.substr(8, 32);
  }
}

}  // namespace
}  // namespace quernel::model
