#include "model/tokenizer_json_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "model/tiny_vocabulary.h"
#include "model/tokenizer_source.h"
#include "support/shared_data.h"

namespace quernel::model {
namespace {

using ::testing::HasSubstr;

Json written(const text::Vocabulary& vocabulary) {
  const Result<std::string> text = tokenizer_json(vocabulary);
  EXPECT_TRUE(text.ok());
  Result<Json> json = parse_json(text.ok() ? *text : "{}", "tokenizer.json");
  EXPECT_TRUE(json.ok()) << (json.ok() ? "" : to_string(json.error()));
  return json.ok() ? std::move(*json) : Json();
}

TEST(TokenizerJsonWriter, FilesOfAByteLevelModel) {
  const test::TempFolder folder;
  write_gguf(folder / "vocab.gguf", byte_level_pairs(), {});
  const Result<io::GgufFile> file = io::GgufFile::open(folder / "vocab.gguf");
  ASSERT_TRUE(file.ok());
  const auto files = tokenizer_files(*file, 128);
  ASSERT_TRUE(files.ok()) << to_string(files.error());
  const Result<Json> tokenizer = parse_json(files->at("tokenizer.json"), "tokenizer.json");
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  EXPECT_EQ((*tokenizer)["pre_tokenizer"],
            Json::parse(R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true})"));
  EXPECT_EQ((*tokenizer)["model"]["merges"], Json::parse(R"([["a","b"],["Ġ","ab"]])"));
  EXPECT_EQ((*tokenizer)["model"]["vocab"].size(), 259U);  // without the filler
  EXPECT_EQ((*tokenizer)["model"]["vocab"]["<end>"], 259);
  EXPECT_EQ((*tokenizer)["added_tokens"].size(), 1U);
  EXPECT_EQ((*tokenizer)["post_processor"], nullptr);
  const Result<Json> config = parse_json(files->at("tokenizer_config.json"), "tokenizer_config.json");
  ASSERT_TRUE(config.ok());
  EXPECT_EQ((*config)["eos_token"], "<end>");
  EXPECT_EQ((*config)["chat_template"], "{{ messages }}");
  EXPECT_EQ((*config)["model_max_length"], 128);
  EXPECT_EQ(files->at("special_tokens_map.json"), "{\n  \"eos_token\": \"<end>\"\n}\n");
}

// Scores -2 for "ab", -1 for "bc": "abc" is a, bc; both ways to make "abc" follow with its score.
text::Vocabulary scored() {
  text::Vocabulary vocabulary;
  vocabulary.model = text::BpeModel::byte_fallback;
  vocabulary.tokens = {"<unk>", "a", "b", "c", "ab", "bc", "abc", "\u2581"};
  vocabulary.scores = {0, -10, -11, -12, -2, -1, -3, -13};
  vocabulary.kinds.assign(8, text::TokenKind::normal);
  vocabulary.kinds[0] = text::TokenKind::unknown;
  vocabulary.unk = 0;
  vocabulary.bos = 0;
  vocabulary.add_bos = true;
  vocabulary.normalize = {{text::NormalizeKind::replace_text, " ", "\u2581"}};
  vocabulary.decode = {{text::DecodeKind::replace_text, "\u2581", " "}, {text::DecodeKind::fuse, "", ""}};
  return vocabulary;
}

TEST(TokenizerJsonWriter, ScoresBecomeMergesInTheirOrder) {
  const Json json = written(scored());
  EXPECT_EQ(json["model"]["merges"], Json::parse(R"([["b","c"],["a","b"],["a","bc"],["ab","c"]])"));
  EXPECT_EQ(json["model"]["unk_token"], "<unk>");
  EXPECT_EQ(json["pre_tokenizer"], nullptr);
  EXPECT_EQ(json["normalizer"], Json::parse(R"({"type":"Replace","pattern":{"String":" "},"content":"▁"})"));
  EXPECT_EQ(json["post_processor"]["single"].size(), 2U);
  EXPECT_EQ(json["post_processor"]["special_tokens"]["<unk>"]["ids"], Json::parse("[0]"));
}

TEST(TokenizerJsonWriter, TokensThatAreNotTextAreRefused) {
  text::Vocabulary vocabulary = scored();
  vocabulary.tokens[3] = "\xFF";
  const Result<std::string> text = tokenizer_json(vocabulary);
  ASSERT_FALSE(text.ok());
  EXPECT_THAT(text.error().message, HasSubstr("token 3"));
}

// The written file gives the ids of the GGUF file it was made from, by our own reader of tokenizer.json.
class RealVocabulary : public ::testing::TestWithParam<const char*> {};

TEST_P(RealVocabulary, SameIdsFromBothFiles) {
  const auto path = test::shared_data(std::string("tokenizer/ggml-vocab-") + GetParam() + ".gguf");
  if (!path) GTEST_SKIP() << "the shared vocabularies are not there";
  const auto texts = test::shared_data(std::string("tokenizer/ggml-vocab-") + GetParam() + ".gguf.inp");
  ASSERT_TRUE(texts.has_value());
  const Result<text::Tokenizer> from_gguf = load_tokenizer(*path);
  ASSERT_TRUE(from_gguf.ok()) << to_string(from_gguf.error());
  const Result<std::string> json = tokenizer_json(from_gguf->vocabulary());
  ASSERT_TRUE(json.ok());
  const Result<text::Tokenizer> from_json = text::Tokenizer::from_json(*json, "tokenizer.json");
  ASSERT_TRUE(from_json.ok()) << to_string(from_json.error());
  const std::string text = test::read_text(*texts);
  for (const bool special : {false, true}) {
    const text::EncodeOptions options{.add_special = special, .parse_special = true};
    const auto ids = from_gguf->encode(text, options);
    EXPECT_EQ(ids, from_json->encode(text, options));
    EXPECT_EQ(from_gguf->decode(ids), from_json->decode(ids));
  }
}

INSTANTIATE_TEST_SUITE_P(Shared, RealVocabulary, ::testing::Values("gpt-2", "llama-spm", "deepseek-coder"),
                         [](const auto& which) {
                           std::string name = which.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace quernel::model
