#include "text/gguf_vocabulary.h"

#include <gtest/gtest.h>

#include <limits>

#include "text/byte_alphabet.h"
#include "text/tokenizer.h"

namespace quernel::text {
namespace {

using Ids = std::vector<std::int32_t>;

GgufTokenizerFields byte_level_fields() {
  GgufTokenizerFields fields;
  fields.model = "gpt2";
  fields.pre = "smollm";
  for (int byte = 0; byte < 256; ++byte) {
    fields.tokens.push_back(to_alphabet(std::string(1, static_cast<char>(byte))));
    fields.token_types.push_back(1);
  }
  fields.tokens.insert(fields.tokens.end(), {"ab", "<|end|>", "<user>"});
  fields.token_types.insert(fields.token_types.end(), {1, 3, 4});
  fields.merges = {"a b"};
  fields.eos = 257;
  return fields;
}

GgufTokenizerFields piece_fields() {
  GgufTokenizerFields fields;
  fields.model = "llama";
  fields.tokens = {"<unk>", "<s>", "</s>"};
  fields.token_types = {2, 3, 3};
  for (int byte = 0; byte < 256; ++byte) {
    fields.tokens.push_back(byte_token(static_cast<std::uint8_t>(byte)));
    fields.token_types.push_back(6);
  }
  fields.tokens.insert(fields.tokens.end(), {"\u2581a", "a", "\u2581", "aa"});
  fields.token_types.insert(fields.token_types.end(), {1, 1, 1, 1});
  fields.scores.assign(fields.tokens.size(), 0.0F);
  for (std::size_t i = 0; i < 4; ++i) fields.scores[259 + i] = -static_cast<float>(i);
  return fields;
}

Tokenizer make(GgufTokenizerFields fields) {
  auto vocabulary = vocabulary_from_gguf(std::move(fields), "v.gguf");
  EXPECT_TRUE(vocabulary.ok()) << (vocabulary.ok() ? "" : to_string(vocabulary.error()));
  auto tokenizer = Tokenizer::create(std::move(*vocabulary));
  EXPECT_TRUE(tokenizer.ok()) << (tokenizer.ok() ? "" : to_string(tokenizer.error()));
  return std::move(tokenizer).value();
}

TEST(GgufVocabulary, MakesByteLevelTokenizers) {
  const Tokenizer tokenizer = make(byte_level_fields());
  EXPECT_EQ(tokenizer.encode("ab12<|end|>"), (Ids{256, '1', '2', 257}));
  EXPECT_EQ(tokenizer.encode("<|end|><user>", {.parse_special = false}).size(), 8U)
      << "only special tokens are switched off";
  EXPECT_EQ(tokenizer.vocabulary().eos, 257);
  EXPECT_FALSE(tokenizer.vocabulary().add_bos);
  GgufTokenizerFields llama3 = byte_level_fields();
  llama3.pre = "llama-bpe";
  llama3.bos = 257;
  EXPECT_EQ(make(llama3).encode("a", {.add_special = true}), (Ids{257, 'a'}));
  llama3.add_bos = false;
  EXPECT_EQ(make(llama3).encode("a", {.add_special = true}), (Ids{'a'})) << "the file has the last word";
}

TEST(GgufVocabulary, ComposesForQwen) {
  GgufTokenizerFields fields = byte_level_fields();
  fields.pre = "qwen2";
  EXPECT_EQ(make(fields).encode("e\u0301"), (Ids{0xC3, 0xA9}));
  fields.pre = "llama-bpe";
  EXPECT_EQ(make(fields).encode("e\u0301"), (Ids{'e', 0xCC, 0x81}));
}

TEST(GgufVocabulary, MergesByScore) {
  const Tokenizer tokenizer = make(piece_fields());
  EXPECT_EQ(tokenizer.encode("aa"), (Ids{259, 260})) << "U+2581 with a has the better score";
  EXPECT_EQ(tokenizer.encode("aaa", {.add_special = true}), (Ids{1, 259, 262}));
  EXPECT_EQ(tokenizer.decode(Ids{1, 259, 262}), "aaa");
  EXPECT_EQ(tokenizer.encode("\u00E9"), (Ids{261, 3 + 0xC3, 3 + 0xA9}));
  GgufTokenizerFields bare = piece_fields();
  bare.add_space_prefix = false;
  EXPECT_EQ(make(bare).encode("aa"), (Ids{262}));
}

TEST(GgufVocabulary, KnowsEveryPreTokenizerItNames) {
  for (const char* pre : {"gpt-2", "llama-bpe", "qwen2", "tekken", "gpt-4o", "deepseek-llm", "deepseek-coder",
                          "deepseek-v3", "starcoder"}) {
    GgufTokenizerFields fields = byte_level_fields();
    fields.pre = pre;
    const std::string text = "It's 1234 \u4E2D\u6587, \uD55C\uAD6D\uC5B4!\n\n  x\t";
    const Tokenizer tokenizer = make(fields);
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text) << pre;
  }
}

template <class Change>
Error error_of(GgufTokenizerFields fields, Change change) {
  change(fields);
  auto vocabulary = vocabulary_from_gguf(std::move(fields), "v.gguf");
  if (!vocabulary.ok()) return std::move(vocabulary).error();
  auto tokenizer = Tokenizer::create(std::move(*vocabulary));
  EXPECT_FALSE(tokenizer.ok());
  return tokenizer.ok() ? Error() : std::move(tokenizer).error();
}

TEST(GgufVocabulary, RefusesWhatContradictsItself) {
  using Fields = GgufTokenizerFields;
  const auto bytes = [](auto change) { return error_of(byte_level_fields(), change); };
  const auto pieces = [](auto change) { return error_of(piece_fields(), change); };
  EXPECT_EQ(bytes([](Fields& f) { f.tokens.clear(); }).fault, Fault::corrupt);
  EXPECT_EQ(bytes([](Fields& f) { f.token_types.pop_back(); }).field, "tokenizer.ggml.token_type");
  EXPECT_EQ(bytes([](Fields& f) { f.token_types[3] = 7; }).field, "tokenizer.ggml.token_type[3]");
  EXPECT_EQ(bytes([](Fields& f) { f.token_types[3] = -1; }).fault, Fault::corrupt);
  EXPECT_EQ(bytes([](Fields& f) { f.merges = {"ab"}; }).field, "tokenizer.ggml.merges[0]");
  EXPECT_EQ(bytes([](Fields& f) { f.merges = {""}; }).fault, Fault::corrupt);
  EXPECT_EQ(bytes([](Fields& f) { f.merges = {"a zz"}; }).field, "merges[0]");
  EXPECT_EQ(bytes([](Fields& f) { f.eos = 259; }).field, "tokenizer.ggml.eos_token_id");
  EXPECT_EQ(bytes([](Fields& f) { f.bos = -1; }).fault, Fault::corrupt);
  EXPECT_EQ(bytes([](Fields& f) { f.unk = std::numeric_limits<std::int64_t>::max(); }).fault, Fault::corrupt);
  EXPECT_EQ(bytes([](Fields& f) { f.tokens[3] = f.tokens[4]; }).fault, Fault::corrupt);
  EXPECT_EQ(bytes([](Fields& f) { f.model = "bert"; }).fault, Fault::unsupported);
  EXPECT_NE(bytes([](Fields& f) { f.pre = "unheard-of"; }).expected.find("qwen2"), std::string::npos)
      << "known names are listed";
  EXPECT_EQ(bytes([](Fields& f) { f.pre = ""; }).fault, Fault::unsupported);
  EXPECT_EQ(pieces([](Fields& f) { f.tokens[5] = "<0x-1>"; }).field, "tokenizer.ggml.tokens[5]");
  EXPECT_EQ(pieces([](Fields& f) { f.scores.pop_back(); }).field, "tokenizer.ggml.scores");
  EXPECT_EQ(pieces([](Fields& f) { f.scores[7] = std::numeric_limits<float>::quiet_NaN(); }).field, "scores[7]");
}

}  // namespace
}  // namespace quernel::text
