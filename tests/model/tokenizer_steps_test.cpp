#include "model/tokenizer_steps.h"

#include <gtest/gtest.h>

#include "text/split_rules.h"

namespace quernel::model {
namespace {

text::PreStep step(text::PreKind kind) {
  text::PreStep made;
  made.kind = kind;
  return made;
}

text::PreStep rule(const char* name) {
  text::PreStep made;
  made.pattern = std::string(text::find_split_rule_by_name(name)->pattern);
  return made;
}

Json pre(const std::vector<text::PreStep>& steps, text::BpeModel model = text::BpeModel::byte_level) {
  text::Vocabulary vocabulary;
  vocabulary.model = model;
  vocabulary.pre = steps;
  const Result<Json> json = pre_tokenizer_json(vocabulary);
  return json.ok() ? *json : Json(to_string(json.error()));
}

TEST(TokenizerSteps, SmolLm) {
  text::PreStep digits = step(text::PreKind::digits);
  digits.individual = true;
  EXPECT_EQ(pre({digits, rule("gpt2")}), Json::parse(R"({"type": "Sequence",
      "pretokenizers": [{"type": "Digits", "individual_digits": true},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}]})"));
}

TEST(TokenizerSteps, OtherRulesAreSplits) {
  const Json json = pre({rule("llama3")});
  ASSERT_EQ(json["pretokenizers"].size(), 2U);
  EXPECT_EQ(json["pretokenizers"][0]["type"], "Split");
  EXPECT_EQ(json["pretokenizers"][0]["pattern"]["Regex"],
            std::string(text::find_split_rule_by_name("llama3")->pattern));
  EXPECT_EQ(json["pretokenizers"][0]["behavior"], "Isolated");
  EXPECT_EQ(json["pretokenizers"][1]["use_regex"], false);
}

TEST(TokenizerSteps, PrefixSpaceBelongsToTheByteAlphabet) {
  const Json json = pre({step(text::PreKind::prefix_space), rule("gpt2")});
  EXPECT_EQ(json["add_prefix_space"], true);
  EXPECT_EQ(json["use_regex"], true);
  EXPECT_TRUE(pre({step(text::PreKind::prefix_space), rule("llama3")}).is_string());  // refused
}

TEST(TokenizerSteps, CharactersWithoutSteps) {
  EXPECT_EQ(pre({}, text::BpeModel::byte_fallback), nullptr);
  text::PreStep metaspace = step(text::PreKind::metaspace);
  metaspace.pattern = "\u2581";
  metaspace.prepend = text::PrependScheme::first;
  metaspace.split = false;
  EXPECT_EQ(pre({metaspace}, text::BpeModel::byte_fallback),
            Json::parse(R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false})"));
}

TEST(TokenizerSteps, NormalizersAndDecodersInOrder) {
  text::Vocabulary vocabulary;
  EXPECT_EQ(normalizer_json(vocabulary), nullptr);
  vocabulary.normalize = {{text::NormalizeKind::nfc, "", ""}, {text::NormalizeKind::prepend, "", "x"}};
  EXPECT_EQ(normalizer_json(vocabulary), Json::parse(R"({"type": "Sequence", "normalizers": [{"type": "NFC"},
      {"type": "Prepend", "prepend": "x"}]})"));
  vocabulary.decode = {{text::DecodeKind::replace_text, "_", " "},
                       {text::DecodeKind::byte_fallback, "", ""},
                       {text::DecodeKind::fuse, "", ""},
                       {text::DecodeKind::strip, "", " ", 1}};
  EXPECT_EQ(decoder_json(vocabulary), Json::parse(R"({"type": "Sequence", "decoders": [
      {"type": "Replace", "pattern": {"String": "_"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
      {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})"));
}

TEST(TokenizerSteps, TokensAroundAText) {
  text::Vocabulary vocabulary;
  vocabulary.tokens = {"<s>", "</s>"};
  vocabulary.bos = 0;
  vocabulary.eos = 1;
  EXPECT_EQ(post_processor_json(vocabulary), nullptr);
  vocabulary.add_bos = vocabulary.add_eos = true;
  const Json json = post_processor_json(vocabulary);
  EXPECT_EQ(json["single"], Json::parse(R"([{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A",
      "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}])"));
  EXPECT_EQ(json["pair"].size(), 6U);
  EXPECT_EQ(json["special_tokens"]["</s>"]["ids"], Json::parse("[1]"));
}

}  // namespace
}  // namespace quernel::model
