#include "serve/prompt_lookup.h"

#include <gtest/gtest.h>

namespace quernel::serve {
namespace {

using Tokens = std::vector<std::int32_t>;

TEST(PromptLookup, TakesTheLongestMatchTheLatestOfEquals) {
  const LookupOptions options{.max_draft = 3, .max_ngram = 4, .min_ngram = 2};
  EXPECT_EQ(look_up(Tokens{1, 2, 3, 4, 5, 9, 2, 3}, options, 9), (Tokens{4, 5, 9}));
  // 7 2 3 stood before 6, the later 2 3 before 8.
  EXPECT_EQ(look_up(Tokens{7, 2, 3, 6, 0, 2, 3, 8, 7, 2, 3}, options, 1), (Tokens{6}));
  EXPECT_EQ(look_up(Tokens{2, 3, 6, 0, 2, 3, 8, 7, 2, 3}, options, 1), (Tokens{8}));
  EXPECT_EQ(look_up(Tokens{1, 2, 3, 4, 5, 3}, options, 3), Tokens{}) << "one token is not enough";
  EXPECT_EQ(look_up(Tokens{1}, options, 3), Tokens{});
  EXPECT_EQ(look_up(Tokens{}, options, 3), Tokens{});
  EXPECT_EQ(look_up(Tokens{5, 5, 5}, {.max_draft = 0}, 3), Tokens{});
}

TEST(PromptLookup, RepetitionGoesOn) {
  const LookupOptions options{.max_draft = 7, .max_ngram = 3, .min_ngram = 1};
  EXPECT_EQ(look_up(Tokens{4, 4}, options, 4), (Tokens{4, 4, 4, 4}));
  EXPECT_EQ(look_up(Tokens{1, 2, 3, 1, 2, 3}, options, 7), (Tokens{1, 2, 3, 1, 2, 3, 1}));
}

// Longer n-grams than max_ngram do not count: the latest of those that agree so far is taken.
TEST(PromptLookup, ComparesNoMoreThanAskedFor) {
  const Tokens tokens{1, 2, 3, 7, 0, 2, 3, 8, 1, 2, 3};
  EXPECT_EQ(look_up(tokens, {.max_draft = 1, .max_ngram = 3, .min_ngram = 1}, 1), (Tokens{7}));
  EXPECT_EQ(look_up(tokens, {.max_draft = 1, .max_ngram = 2, .min_ngram = 1}, 1), (Tokens{8}));
}

TEST(PromptLookup, RefusesWhatCannotBe) {
  EXPECT_TRUE(check_lookup({}).ok());
  EXPECT_FALSE(check_lookup({.max_draft = -1}).ok());
  EXPECT_FALSE(check_lookup({.max_draft = 65}).ok());
  EXPECT_FALSE(check_lookup({.min_ngram = 0}).ok());
  EXPECT_FALSE(check_lookup({.max_ngram = 1, .min_ngram = 2}).ok());
}

}  // namespace
}  // namespace quernel::serve
