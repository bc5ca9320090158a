#include "eval/continuation.h"

#include <gtest/gtest.h>

#include "eval/task_fixture.h"

namespace quernel::eval {
namespace {

using Ids = std::vector<std::int32_t>;

EncodedPair encoded(const text::Tokenizer& tokenizer, std::string_view context, std::string_view continuation,
                    std::int64_t positions = 256) {
  auto pair = PairEncoder(tokenizer, positions).encode(context, continuation);
  if (!pair.ok()) ADD_FAILURE() << to_string(pair.error());
  return pair.ok() ? *pair : EncodedPair{};
}

// ab 256, " a" 257, " ab" 258, abab 259
TEST(PairEncoder, ContinuationIsWhatFollowsTheContextsTokens) {
  const text::Tokenizer tokenizer = make_tokenizer(task_vocabulary());
  const EncodedPair plain = encoded(tokenizer, "x", " abc");
  EXPECT_EQ(plain.tokens, (Ids{'x', 258, 'c'}));
  EXPECT_EQ(plain.num_scored, 2);
  EXPECT_EQ(plain.num_fed(), 2);
  // The text is encoded whole: a merge across the border leaves the context's count of tokens behind.
  const EncodedPair merged = encoded(tokenizer, "ab", "abc");
  EXPECT_EQ(merged.tokens, (Ids{259, 'c'}));
  EXPECT_EQ(merged.num_scored, 1);
}

TEST(PairEncoder, WhiteSpaceAtTheContextsEndIsScored) {
  const text::Tokenizer tokenizer = make_tokenizer(task_vocabulary());
  const EncodedPair pair = encoded(tokenizer, "x ", "ab");
  EXPECT_EQ(pair.tokens, (Ids{'x', 258}));
  EXPECT_EQ(pair.num_scored, 1);
  EXPECT_EQ(encoded(tokenizer, "x\n\n ", "ab").num_scored, 3);
}

TEST(PairEncoder, SpecialTokensAsTheVocabularySays) {
  text::Vocabulary vocabulary = task_vocabulary();
  vocabulary.bos = 'B';
  vocabulary.eos = 'E';
  EXPECT_EQ(encoded(make_tokenizer(vocabulary), "x", "y").tokens, (Ids{'x', 'y'}));
  vocabulary.add_bos = vocabulary.add_eos = true;
  const EncodedPair begun = encoded(make_tokenizer(vocabulary), "x", "y");
  EXPECT_EQ(begun.tokens, (Ids{'B', 'x', 'y'})) << "no EOS: it would stand behind the continuation";
  EXPECT_EQ(begun.num_scored, 1);
  vocabulary.prefix = {'P', 'Q'};
  EXPECT_EQ(encoded(make_tokenizer(vocabulary), "x", "y").tokens, (Ids{'P', 'Q', 'x', 'y'}));
}

TEST(PairEncoder, BosOrEosStandsInForAnEmptyContext) {
  text::Vocabulary vocabulary = task_vocabulary();
  for (const char* context : {"", "  "}) {
    EXPECT_FALSE(PairEncoder(make_tokenizer(vocabulary), 256).encode(context, "yz").ok());
  }
  vocabulary.eos = 'E';
  EXPECT_EQ(encoded(make_tokenizer(vocabulary), "", "yz").tokens, (Ids{'E', 'y', 'z'}));
  vocabulary.bos = 'B';
  EXPECT_EQ(encoded(make_tokenizer(vocabulary), "", "yz").tokens, (Ids{'B', 'y', 'z'}));
  EXPECT_EQ(encoded(make_tokenizer(vocabulary), " ", "yz").tokens, (Ids{'B', ' ', 'y', 'z'}));
  EXPECT_EQ(encoded(make_tokenizer(vocabulary), "", "yz").num_scored, 2);
  vocabulary.add_bos = true;
  EXPECT_EQ(encoded(make_tokenizer(vocabulary), "", "yz").tokens, (Ids{'B', 'y', 'z'}));
}

TEST(PairEncoder, CutsFromTheLeft) {
  const text::Tokenizer tokenizer = make_tokenizer(task_vocabulary());
  const EncodedPair whole = encoded(tokenizer, "uvwx", "yz", 5);
  EXPECT_EQ(whole.tokens, (Ids{'u', 'v', 'w', 'x', 'y', 'z'})) << "the last one is not fed";
  EXPECT_FALSE(whole.was_cut);
  const EncodedPair cut = encoded(tokenizer, "uvwx", "yz", 3);
  EXPECT_EQ(cut.tokens, (Ids{'w', 'x', 'y', 'z'}));
  EXPECT_EQ(cut.num_scored, 2);
  EXPECT_TRUE(cut.was_cut);
  EXPECT_EQ(encoded(tokenizer, "uvwx", "yz", 2).tokens, (Ids{'x', 'y', 'z'}));
  EXPECT_FALSE(PairEncoder(tokenizer, 1).encode("uvwx", "yz").ok());
  EXPECT_FALSE(PairEncoder(tokenizer, 9).encode("uvwx", "").ok());
}

TEST(ContinuationScorer, IsLogSoftmaxSummedInDouble) {
  const test::TinyModel tiny = task_model(31);
  const runtime::LoadedModel loaded(tiny);
  const text::Tokenizer tokenizer = make_tokenizer(task_vocabulary());
  std::vector<EncodedPair> pairs;
  for (const auto& [context, continuation] :
       {std::pair{"one", " two"}, {"Question: why?\nAnswer:", " ab"}, {"ab", "abab"}, {"x ", " y z "}, {"z", "!"}})
    pairs.push_back(encoded(tokenizer, context, continuation));
  sys::ThreadPool pool(2);
  ContinuationScorer scorer(*loaded.model, pool);
  const auto scores = scorer.score(pairs);
  ASSERT_TRUE(scores.ok());
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const ContinuationScore expected = plain_score(tiny, pairs[i]);
    EXPECT_NEAR((*scores)[i].log_likelihood, expected.log_likelihood, 2e-5) << i;
    EXPECT_EQ((*scores)[i].greedy, expected.greedy) << i;
    const auto alone = scorer.score(std::span(pairs).subspan(i, 1));
    ASSERT_TRUE(alone.ok());
    EXPECT_NEAR(alone->front().log_likelihood, (*scores)[i].log_likelihood, 2e-5) << "other batches";
  }
}

TEST(ContinuationScorer, GreedyWhereEveryTokenIsTheLikeliest) {
  const test::TinyModel tiny = task_model(32);
  const runtime::LoadedModel loaded(tiny);
  sys::ThreadPool pool(2);
  ContinuationScorer scorer(*loaded.model, pool);
  EncodedPair pair{.tokens = {'q', 'u'}, .num_scored = 3};
  for (int i = 0; i < 3; ++i) {
    const MatrixF64 log_p = plain_log_probabilities(tiny, pair.tokens);
    std::int32_t best = 0;
    for (std::int32_t token = 1; token < log_p.cols(); ++token)
      if (log_p(log_p.rows() - 1, token) > log_p(log_p.rows() - 1, best)) best = token;
    pair.tokens.push_back(best);
  }
  EXPECT_TRUE(scorer.score({&pair, 1})->front().greedy);
  for (std::size_t at = 2; at < 5; ++at) {
    EncodedPair other = pair;
    other.tokens[at] = (other.tokens[at] + 1) % 256;
    EXPECT_FALSE(scorer.score({&other, 1})->front().greedy) << at;
  }
}

// More scored rows than a chunk of logits has (512 of a small vocabulary).
TEST(ContinuationScorer, ChunksOfLogitsMeet) {
  const test::TinyModel tiny = task_model(33);
  const runtime::LoadedModel loaded(tiny);
  sys::ThreadPool pool(2);
  ContinuationScorer scorer(*loaded.model, pool);
  std::vector<EncodedPair> pairs;
  for (std::uint64_t i = 0; i < 6; ++i) pairs.push_back({test::random_tokens(201, 256, i), 199});
  const auto scores = scorer.score(pairs);
  ASSERT_TRUE(scores.ok());
  for (std::size_t i = 0; i < pairs.size(); ++i)
    EXPECT_NEAR((*scores)[i].log_likelihood, plain_score(tiny, pairs[i]).log_likelihood, 2e-3) << i;
}

TEST(ContinuationScorer, RefusesTokensOutsideTheVocabulary) {
  const test::TinyModel tiny = task_model(34);
  const runtime::LoadedModel loaded(tiny);
  sys::ThreadPool pool(1);
  ContinuationScorer scorer(*loaded.model, pool);
  const auto outside = static_cast<std::int32_t>(tiny.vocab);
  for (const Ids& tokens : {Ids{1, 2, outside}, Ids{1, outside, 2}, Ids{outside, 1, 2}, Ids{1, 2, -1}}) {
    const EncodedPair pair{.tokens = tokens, .num_scored = 1};
    const auto scores = scorer.score({&pair, 1});
    ASSERT_FALSE(scores.ok());
    EXPECT_EQ(scores.error().fault, Fault::invalid_argument);
  }
}

}  // namespace
}  // namespace quernel::eval
