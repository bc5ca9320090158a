#include "text/tokenizer_json.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "text/tokenizer.h"

namespace quernel::text {
namespace {

using Ids = std::vector<std::int32_t>;

constexpr std::string_view kSmall = R"({
  "version": "1.0", "truncation": null, "padding": null,
  "added_tokens": [
    {"id": 6, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": true, "normalized": false, "special": true}
  ],
  "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}]},
  "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
    {"type": "Digits", "individual_digits": true},
    {"type": "Split", "pattern": {"Regex": "\\s+"}, "behavior": "Isolated", "invert": false},
    {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]},
  "post_processor": {"type": "Sequence", "processors": [
    {"type": "ByteLevel", "trim_offsets": false},
    {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
     "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [6], "tokens": ["<s>"]}}}]},
  "decoder": {"type": "ByteLevel"},
  "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "", "end_of_word_suffix": null,
    "fuse_unk": false, "byte_fallback": false, "ignore_merges": true,
    "vocab": {"a": 0, "b": 1, "\u0120": 2, "1": 3, "ab": 4, "ba": 5},
    "merges": ["a b", "b a"]}
})";

std::string replaced(std::string_view from, std::string_view to) {
  std::string text(kSmall);
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(TokenizerJson, ReadsASmallFile) {
  const auto tokenizer = Tokenizer::from_json(kSmall, "t.json");
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  EXPECT_EQ(tokenizer->encode("ab ba<s>  11"), (Ids{4, 2, 5, 6, 3, 3}));
  EXPECT_EQ(tokenizer->encode("a", {.add_special = true}), (Ids{6, 0}));
  EXPECT_EQ(tokenizer->decode(Ids{6, 4, 2, 5}), "ab ba");
  EXPECT_EQ(tokenizer->vocabulary().bos, 6);
  EXPECT_FALSE(tokenizer->vocabulary().added[0].in_model);
}

TEST(TokenizerJson, TakesMergesAsPairsToo) {
  const auto tokenizer = Tokenizer::from_json(replaced(R"(["a b", "b a"])", R"([["a", "b"], ["b", "a"]])"), "t.json");
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  EXPECT_EQ(tokenizer->vocabulary().merges.size(), 2U);
}

TEST(TokenizerJson, RefusesTruncationAtEveryByte) {
  for (std::size_t size = 0; size < kSmall.size(); ++size) {
    const auto vocabulary = parse_tokenizer_json(kSmall.substr(0, size), "t.json");
    ASSERT_FALSE(vocabulary.ok()) << "cut to " << size;
    EXPECT_EQ(vocabulary.error().fault, Fault::corrupt) << to_string(vocabulary.error());
    ASSERT_TRUE(vocabulary.error().offset.has_value()) << "cut to " << size;
    EXPECT_LE(*vocabulary.error().offset, size);
    EXPECT_EQ(vocabulary.error().file, "t.json");
  }
}

// Every byte changed to others in turn: an error or a tokenizer, never a crash.
TEST(TokenizerJson, SurvivesChangesOfSingleBytes) {
  std::string text(kSmall);
  int accepted = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char before = text[at];
    for (const char with : {'0', '"', '}', '\\', '\x80', '-'}) {
      text[at] = with;
      const auto tokenizer = Tokenizer::from_json(text, "t.json");
      if (!tokenizer.ok()) continue;
      ++accepted;
      EXPECT_LT(tokenizer->decode(tokenizer->encode("ab <s> 1")).size(), 100U);
    }
    text[at] = before;
  }
  EXPECT_GT(accepted, 100);
}

struct Hostile {
  const char* from;
  const char* to;
  Fault fault;
  const char* says;
};

class TokenizerJsonHostile : public testing::TestWithParam<Hostile> {};

TEST_P(TokenizerJsonHostile, IsRefusedByName) {
  const Hostile& hostile = GetParam();
  const auto tokenizer = Tokenizer::from_json(replaced(hostile.from, hostile.to), "t.json");
  ASSERT_FALSE(tokenizer.ok());
  EXPECT_EQ(tokenizer.error().fault, hostile.fault) << to_string(tokenizer.error());
  EXPECT_NE(to_string(tokenizer.error()).find(hostile.says), std::string::npos) << to_string(tokenizer.error());
  EXPECT_EQ(tokenizer.error().file, "t.json");
}

INSTANTIATE_TEST_SUITE_P(
    Text, TokenizerJsonHostile,
    testing::Values(
        Hostile{R"("a b")", R"("a x")", Fault::corrupt, "merges[0]"},  // a merge of an unknown token
        Hostile{R"("b a")", R"("b b")", Fault::corrupt, "'bb'"},       // a merge into an unknown token
        Hostile{R"("a b")", R"("ab")", Fault::corrupt, "one space"},
        Hostile{R"("a b")", R"("a b c")", Fault::corrupt, "one space"},
        Hostile{R"("a b")", R"(["a"])", Fault::corrupt, "fewer than two"},
        Hostile{R"("a b")", R"(["a", "b", "c"])", Fault::corrupt, "more than two"},
        Hostile{R"("a b")", R"(7)", Fault::corrupt, "offset"},
        Hostile{R"("ba": 5)", R"("ba": -5)", Fault::corrupt, "out of range"},
        Hostile{R"("ba": 5)", R"("ba": 5.5)", Fault::corrupt, "out of range"},
        Hostile{R"("ba": 5)", R"("ba": 99999999999999999999)", Fault::corrupt, "out of range"},
        Hostile{R"("ba": 5)", R"("ba": 4194304)", Fault::corrupt, "out of range"},
        Hostile{R"("ba": 5)", R"("ba": 4194303)", Fault::corrupt, "far beyond"},  // a table of 128 MiB for six tokens
        Hostile{R"("ba": 5)", R"("ba": 4)", Fault::corrupt, "the id 4"},
        Hostile{R"("ba": 5)", R"("ab": 5)", Fault::corrupt, "same text"},
        Hostile{R"("ba": 5)", R"("ba": "5")", Fault::corrupt, "offset"},
        Hostile{R"({"id": 6, "content": "<s>")", R"({"id": 6, "content": "")", Fault::corrupt, "empty"},
        Hostile{R"({"id": 6,)", R"({"id": -6,)", Fault::corrupt, "out of range"},
        Hostile{R"({"id": 6,)", R"({"id": 4,)", Fault::corrupt, "another token"},
        Hostile{R"({"id": 6,)", R"({)", Fault::not_found, "id"},
        Hostile{R"("ids": [6])", R"("ids": [7])", Fault::corrupt, "outside the vocabulary"},
        Hostile{R"("ids": [6])", R"("ids": [-1])", Fault::corrupt, "out of range"},
        Hostile{R"({"SpecialToken": {"id": "<s>")", R"({"SpecialToken": {"id": "<t>")", Fault::corrupt, "'<t>'"},
        Hostile{R"("type": "BPE")", R"("type": "WordPiece")", Fault::unsupported, "WordPiece"},
        Hostile{R"("type": "NFC")", R"("type": "NFKC")", Fault::unsupported, "NFKC"},
        Hostile{R"("type": "Digits")", R"("type": "Punctuation")", Fault::unsupported, "Punctuation"},
        Hostile{R"("type": "TemplateProcessing")", R"("type": "BertProcessing")", Fault::unsupported, "BertProcessing"},
        Hostile{R"("decoder": {"type": "ByteLevel"})", R"("decoder": {"type": "CTC"})", Fault::unsupported, "CTC"},
        Hostile{R"("Isolated")", R"("Sideways")", Fault::unsupported, "Sideways"},
        Hostile{R"(\\s+)", R"([a&&b])", Fault::unsupported, "[a&&b]"},
        Hostile{R"(\\s+)", R"((()", Fault::unsupported, "hand-written rules"},
        Hostile{R"("dropout": null)", R"("dropout": 0.1)", Fault::unsupported, "dropout"},
        Hostile{R"("end_of_word_suffix": null)", R"("end_of_word_suffix": "</w>")", Fault::unsupported,
                "end_of_word_suffix"},
        Hostile{R"("unk_token": null)", R"("unk_token": "<unk>")", Fault::corrupt, "unk_token"},
        Hostile{R"("byte_fallback": false)", R"("byte_fallback": "no")", Fault::corrupt, "byte_fallback"},
        Hostile{R"("fuse_unk": false)", R"("ignore_merges": false)", Fault::corrupt, "twice"},
        Hostile{R"("padding": null)", R"("version": null)", Fault::corrupt, "twice"},
        Hostile{R"("merges": ["a b", "b a"])", R"("extra": 1)", Fault::corrupt, "no merges"},
        Hostile{R"("model": {)", R"("modle": {)", Fault::corrupt, "no vocabulary"}));

TEST(TokenizerJson, RefusesDeepNestingAndLongTokens) {
  const std::string deep = R"({"normalizer": )" + std::string(100'000, '[');
  const auto nested = parse_tokenizer_json(deep, "t.json");
  ASSERT_FALSE(nested.ok());
  EXPECT_EQ(nested.error().fault, Fault::limit_exceeded);

  std::string sequences = "null";
  for (int i = 0; i < 60; ++i) sequences = R"({"type": "Sequence", "normalizers": [)" + sequences + "]}";
  EXPECT_TRUE(
      parse_tokenizer_json(replaced(R"({"type": "Sequence", "normalizers": [{"type": "NFC"}]})", sequences), "t.json")
          .ok());

  const auto wide = parse_tokenizer_json(replaced(R"("ba": 5)", "\"" + std::string(20'000, 'x') + "\": 5"), "t.json");
  ASSERT_FALSE(wide.ok());
  EXPECT_EQ(wide.error().fault, Fault::limit_exceeded);

  std::string many = R"({"type": "NFC"})";
  for (int i = 0; i < 40; ++i) many += R"(,{"type": "NFC"})";
  EXPECT_EQ(parse_tokenizer_json(replaced(R"({"type": "NFC"})", many), "t.json").error().fault, Fault::limit_exceeded);
}

TEST(TokenizerJson, RefusesInvalidUtf8) {
  const auto vocabulary = parse_tokenizer_json(replaced(R"("ba": 5)", "\"\xFF\": 5"), "t.json");
  ASSERT_FALSE(vocabulary.ok());
  EXPECT_TRUE(vocabulary.error().offset.has_value());
}

}  // namespace
}  // namespace quernel::text
