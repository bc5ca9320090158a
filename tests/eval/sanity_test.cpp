#include "eval/sanity.h"

#include <gtest/gtest.h>

#include "eval_fixture.h"

namespace quernel::eval {
namespace {

std::vector<std::int32_t> repeated(const std::vector<std::int32_t>& pattern, int times) {
  std::vector<std::int32_t> tokens{7, 8, 9};
  for (int i = 0; i < times; ++i) tokens.insert(tokens.end(), pattern.begin(), pattern.end());
  return tokens;
}

TEST(Sanity, SeesLoops) {
  EXPECT_TRUE(loops(repeated({1, 2, 3}, 4)));
  EXPECT_TRUE(loops(repeated({5}, 12)));
  EXPECT_FALSE(loops(repeated({5}, 11)));
  EXPECT_FALSE(loops(repeated({1, 2, 3}, 3)));
  EXPECT_FALSE(loops(std::vector<std::int32_t>{}));
  std::vector<std::int32_t> counting;
  for (std::int32_t i = 0; i < 48; ++i) counting.push_back(i);
  EXPECT_FALSE(loops(counting));
  std::vector<std::int32_t> long_period(16);
  for (std::int32_t i = 0; i < 16; ++i) long_period[static_cast<std::size_t>(i)] = i;
  EXPECT_TRUE(loops(repeated(long_period, 4)));
}

TEST(Sanity, SeesBrokenBytesButNotACutCharacter) {
  EXPECT_FALSE(is_broken_utf8(""));
  EXPECT_FALSE(is_broken_utf8("\xEC\x84\x9C\xEC\x9A\xB8"));
  EXPECT_FALSE(is_broken_utf8("\xEC\x84\x9C\xEC\x9A"));
  EXPECT_TRUE(is_broken_utf8("\xEC\x84 and on"));
  EXPECT_TRUE(is_broken_utf8("\xFF"));
}

std::vector<Answer> answers(int looping, int ending, int broken, int total) {
  std::vector<Answer> all(static_cast<std::size_t>(total));
  for (int i = 0; i < total; ++i) {
    Answer& answer = all[static_cast<std::size_t>(i)];
    answer.tokens = {1, 2, 3, 4, 5, 6};
    answer.text = "fine";
    if (i < looping) answer.tokens = repeated({1, 2, 3}, 5);
    if (i >= looping && i < looping + ending) answer = {{1}, "a", true};
    if (i >= looping + ending && i < looping + ending + broken) answer.text = "\xFF\xFE";
  }
  return all;
}

TEST(Sanity, JudgesAgainstTheSource) {
  const auto source = answers(4, 1, 0, 20);
  EXPECT_TRUE(judge(source, source).sane);
  EXPECT_DOUBLE_EQ(judge(source, source).same_first_tokens, 1.0);
  EXPECT_TRUE(judge(source, answers(8, 1, 0, 20)).sane);
  const SanityVerdict looping = judge(source, answers(12, 1, 0, 20));
  EXPECT_FALSE(looping.sane);
  EXPECT_NE(looping.reason.find("loop"), std::string::npos);
  EXPECT_FALSE(judge(source, answers(4, 6, 0, 20)).sane);
  EXPECT_FALSE(judge(source, answers(4, 1, 3, 20)).sane);
  EXPECT_TRUE(judge(answers(4, 1, 3, 20), answers(4, 1, 3, 20)).sane);
}

}  // namespace
}  // namespace quernel::eval
