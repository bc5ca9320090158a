// The vectors that come with the vocabularies of llama.cpp: 46 strings and the ids they must give.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "support/shared_data.h"
#include "support/temp_folder.h"
#include "text/gguf_source.h"
#include "text/tokenizer_json.h"

namespace quernel::text {
namespace {

constexpr std::string_view kMarker = "\n__ggml_vocab_test__\n";

std::vector<std::string> split_inputs(const std::string& all) {
  std::vector<std::string> out;
  std::size_t at = 0;
  for (std::size_t hit = all.find(kMarker); hit != std::string::npos; hit = all.find(kMarker, at)) {
    out.push_back(all.substr(at, hit - at));
    at = hit + kMarker.size();
  }
  return out;
}

std::vector<std::vector<std::int32_t>> split_ids(const std::string& all) {
  std::vector<std::vector<std::int32_t>> out;
  std::istringstream lines(all);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream numbers(line);
    std::vector<std::int32_t>& ids = out.emplace_back();
    for (std::int32_t id = 0; numbers >> id;) ids.push_back(id);
  }
  return out;
}

void check_vectors(const Tokenizer& tokenizer, const std::string& vectors, bool byte_level) {
  const auto inputs = split_inputs(test::read_text(vectors + ".inp"));
  const auto expected = split_ids(test::read_text(vectors + ".out"));
  ASSERT_EQ(inputs.size(), 46U);
  ASSERT_EQ(expected.size(), inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto ids = tokenizer.encode(inputs[i], {.parse_special = false});
    EXPECT_EQ(ids, expected[i]) << "string " << i << ": '" << inputs[i] << "'";
    // SentencePiece-type decoding takes away the space that encoding put in front; without one in front it is the same.
    EXPECT_EQ(tokenizer.decode(ids), inputs[i]) << "string " << i << (byte_level ? "" : " (byte fallback)");
  }
}

class GgufVectors : public testing::TestWithParam<const char*> {};

TEST_P(GgufVectors, GiveTheirIds) {
  const std::string name = GetParam();
  const auto path = test::shared_data("tokenizer/ggml-vocab-" + name + ".gguf");
  if (!path) GTEST_SKIP() << "no shared data";
  const auto tokenizer = test::open_gguf_tokenizer(*path);
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  check_vectors(*tokenizer, *path, name != "llama-spm");
}

INSTANTIATE_TEST_SUITE_P(Text, GgufVectors, testing::Values("deepseek-coder", "gpt-2", "llama-spm"),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

Result<Tokenizer> open_json(const char* name) {
  const auto path = test::shared_data(std::string("tokenizer/") + name);
  if (!path) return Error(Fault::not_found, "no shared data");
  return Tokenizer::from_json(test::read_text(*path), *path);
}

TEST(JsonVectors, Phi3GivesTheIdsOfItsVectors) {
  const auto tokenizer = open_json("phi3-v_tokenizer.json");
  const auto vectors = test::shared_data("tokenizer/ggml-vocab-phi-3.gguf.inp");
  if (!vectors || (!tokenizer.ok() && tokenizer.error().fault == Fault::not_found)) GTEST_SKIP() << "no shared data";
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  check_vectors(*tokenizer, vectors->substr(0, vectors->size() - 4), false);
}

// This file's added tokens are runs of spaces, which the vectors of GPT-2 itself do not know: without them it is GPT-2.
TEST(JsonVectors, Gpt2GivesTheIdsOfItsVectors) {
  const auto path = test::shared_data("tokenizer/gpt2_tokenizer.json");
  const auto vectors = test::shared_data("tokenizer/ggml-vocab-gpt-2.gguf.inp");
  if (!path || !vectors) GTEST_SKIP() << "no shared data";
  auto vocabulary = parse_tokenizer_json(test::read_text(*path), *path);
  ASSERT_TRUE(vocabulary.ok()) << to_string(vocabulary.error());
  std::erase_if(vocabulary->added, [](const AddedToken& token) { return !token.special; });
  vocabulary->tokens.resize(50257);
  vocabulary->kinds.resize(50257);
  const auto tokenizer = Tokenizer::create(std::move(*vocabulary));
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  check_vectors(*tokenizer, vectors->substr(0, vectors->size() - 4), true);
}

}  // namespace
}  // namespace quernel::text
