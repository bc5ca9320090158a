#include "eval/windows.h"

#include <gtest/gtest.h>

#include <numeric>

#include "support/shared_data.h"
#include "support/temp_folder.h"

namespace quernel::eval {
namespace {

std::string joined(std::string_view text) { return prepare_text(Convention::gptq, text); }

TEST(Windows, RowsAreJoinedByTwoNewlines) {
  EXPECT_EQ(joined(" \n = Title = \n \n Text .\n \n"), "\n\n = Title = \n\n\n\n\n Text .\n\n\n");
  EXPECT_EQ(joined("a\nb"), "a\n\n\nb");
  EXPECT_EQ(joined("a\nb\n"), "a\n\n\nb\n");
  EXPECT_EQ(joined("a\r\nb\rc"), "a\n\n\nb\n\n\nc");
  EXPECT_EQ(joined("a"), "a");
  EXPECT_EQ(joined(""), "");
  // A blank row is one of white space of any kind; a zero-width space is not white space.
  EXPECT_EQ(joined("\xC2\xA0\t\xE3\x80\x80\xE2\x80\x83\nb"), "\n\nb");
  EXPECT_EQ(joined("\xE2\x80\x8B\nb"), "\xE2\x80\x8B\n\n\nb");
  EXPECT_EQ(joined("\xE2\x80"), "\xE2\x80");
}

TEST(Windows, TheOtherConventionTakesTheTextAsItIs) {
  EXPECT_EQ(prepare_text(Convention::llama_cpp, " \n a\r\n"), " \n a\r\n");
}

// 4,358 rows of the data set; the size was found with the data set's own rows joined in Python.
TEST(Windows, TheTestTextHasItsKnownSize) {
  const auto path = test::shared_data("text/wiki.test.raw");
  if (!path) GTEST_SKIP() << "shared data text/wiki.test.raw is absent";
  EXPECT_EQ(joined(test::read_text(*path)).size(), 1296370U);
}

WindowPlan planned(Convention convention, std::int64_t tokens, std::int64_t context, std::int64_t windows) {
  const auto plan = plan_windows(convention, tokens, context, windows, 7);
  EXPECT_TRUE(plan.ok()) << to_string(plan.error());
  return *plan;
}

TEST(Windows, PublishedCounts) {
  const WindowPlan a = planned(Convention::gptq, 304978, 0, 0);
  EXPECT_EQ(a.context, 2048);
  EXPECT_EQ(a.count, 148);
  EXPECT_EQ(a.num_scored(), 302956);
  EXPECT_FALSE(a.bos.has_value());
  EXPECT_EQ(planned(Convention::gptq, 304978, 0, 24).num_scored(), 49128);
  const WindowPlan b = planned(Convention::llama_cpp, 303415, 0, 40);
  EXPECT_EQ(b.context, 512);
  EXPECT_EQ(b.first_scored, 256);
  EXPECT_EQ(b.scored_per_window, 255);
  EXPECT_EQ(b.num_scored(), 10200);
  EXPECT_EQ(b.bos, 7);
}

TEST(Windows, SmallCounts) {
  EXPECT_EQ(planned(Convention::gptq, 10, 5, 0).count, 2);
  EXPECT_EQ(planned(Convention::gptq, 14, 5, 0).count, 2);
  EXPECT_EQ(planned(Convention::gptq, 14, 5, 9).count, 2);
  EXPECT_EQ(planned(Convention::gptq, 14, 2, 0).num_scored(), 7);
  const WindowPlan odd = planned(Convention::llama_cpp, 14, 5, 0);  // positions 2 and 3 predict 3 and 4
  EXPECT_EQ(odd.first_scored, 2);
  EXPECT_EQ(odd.scored_per_window, 2);
  EXPECT_EQ(planned(Convention::llama_cpp, 4, 4, 0).scored_per_window, 1);
}

TEST(Windows, RefusesWhatCannotBeMeasured) {
  const auto short_text = plan_windows(Convention::gptq, 2047, 0, 0, std::nullopt);
  ASSERT_FALSE(short_text.ok());
  EXPECT_EQ(short_text.error().fault, Fault::invalid_argument);
  EXPECT_EQ(short_text.error().expected, "2048 tokens");
  EXPECT_EQ(short_text.error().found, "2047 tokens");
  EXPECT_FALSE(plan_windows(Convention::gptq, 0, 0, 0, std::nullopt).ok());
  EXPECT_FALSE(plan_windows(Convention::gptq, 100, 1, 0, std::nullopt).ok());
  EXPECT_FALSE(plan_windows(Convention::gptq, 100, -5, 0, std::nullopt).ok());
  EXPECT_FALSE(plan_windows(Convention::llama_cpp, 100, 3, 0, std::nullopt).ok());
  EXPECT_FALSE(plan_windows(Convention::llama_cpp, 100, 10, -1, std::nullopt).ok());
}

TEST(Windows, BosTakesThePlaceOfTheFirstToken) {
  std::vector<std::int32_t> tokens(20);
  std::iota(tokens.begin(), tokens.end(), 100);
  EXPECT_EQ(window_tokens(planned(Convention::llama_cpp, 20, 5, 0), tokens, 2),
            (std::vector<std::int32_t>{7, 111, 112, 113, 114}));
  EXPECT_EQ(window_tokens(planned(Convention::gptq, 20, 5, 0), tokens, 3),
            (std::vector<std::int32_t>{115, 116, 117, 118, 119}));
}

TEST(Windows, HashCoversWhatIsMeasuredOn) {
  std::vector<std::int32_t> tokens(20);
  std::iota(tokens.begin(), tokens.end(), 100);
  const WindowPlan plan = planned(Convention::gptq, 20, 6, 2);
  const std::string hash = hash_windows(plan, tokens);
  tokens[12] = 0;  // after the last window
  EXPECT_EQ(hash_windows(plan, tokens), hash);
  tokens[11] = 0;
  EXPECT_NE(hash_windows(plan, tokens), hash);
}

TEST(Windows, ConventionsHaveNames) {
  for (const Convention convention : {Convention::gptq, Convention::llama_cpp}) {
    const auto parsed = parse_convention(to_string(convention));
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(*parsed, convention);
  }
  EXPECT_FALSE(parse_convention("hf").ok());
}

}  // namespace
}  // namespace quernel::eval
