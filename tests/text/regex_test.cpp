#include "text/regex.h"

#include <gtest/gtest.h>

namespace quernel::text {
namespace {

std::string first(const std::string& pattern, const std::string& text) {
  const auto regex = Regex::compile(pattern);
  EXPECT_TRUE(regex.ok()) << (regex.ok() ? "" : to_string(regex.error()));
  const Match match = regex->find(text, text.data());
  return match.found() ? std::string(match.begin, match.end) : "(nothing)";
}

TEST(Regex, ReadsClassesAsOnigurumaDoes) {
  EXPECT_EQ(first(R"(\w+)", "-e\u0301_\u203F9\u2160-"), "e\u0301_\u203F9\u2160")
      << "marks and connectors are word characters";
  EXPECT_EQ(first(R"([^\w\s]+)", "a\u0301 \u2014-"), "\u2014-");
  EXPECT_EQ(first(R"(\s+)", "a\u180E \u3000\u0085b"), " \u3000\u0085") << "U+180E is not white space";
  EXPECT_EQ(first(R"(\S+)", " \u180Ea "), "\u180Ea");
  EXPECT_EQ(first(R"([]a]+)", "b]a"), "]a");
  EXPECT_EQ(first(R"([[:digit:]x]+)", "a1x"), "1x");
  EXPECT_EQ(first(R"(a$)", "a\nb"), "a") << "$ at every line's end";
  EXPECT_EQ(first(R"(x*)", "axx"), "xx") << "empty matches are passed over";
  EXPECT_EQ(first(R"((?<=\p{Lu})b)", "abAb"), "b");
}

TEST(Regex, LooksBehindTheStart) {
  const auto regex = Regex::compile("(?<=a)b");
  const std::string text = "ab";
  EXPECT_TRUE(regex->find(text, text.data() + 1).found());
}

TEST(Regex, TakesInvalidTextAndNul) { EXPECT_EQ(first("b+", std::string("\xFF\0bb\xC3", 5)), "bb"); }

TEST(Regex, RefusesWhatItWouldMisread) {
  for (const char* pattern : {R"([a-z&&[^b]])", R"([a[b]])", R"(\h)", R"(\R)", R"(\bword)", R"([\W])", "(", "[", "a{2",
                              R"(\)", R"((?P<n>a)(?P=m))"}) {
    const auto regex = Regex::compile(pattern);
    if (std::string_view(pattern) == "a{2") {
      EXPECT_TRUE(regex.ok()) << "a literal brace";
      continue;
    }
    ASSERT_FALSE(regex.ok()) << pattern;
    EXPECT_EQ(regex.error().fault, Fault::unsupported);
    EXPECT_NE(regex.error().hint.find("llama3"), std::string::npos) << "the known rules are listed";
  }
  EXPECT_EQ(Regex::compile(std::string(70'000, 'a')).error().fault, Fault::limit_exceeded);
  EXPECT_FALSE(Regex::compile(std::string(5'000, '(') + std::string(5'000, ')')).ok()) << "nesting";
}

TEST(Regex, StopsWhenAPatternBacktracksForever) {
  const std::string text(40, 'a');
  EXPECT_EQ(first(R"((a*)*(a*)*(a*)*b)", text), "(nothing)");
}

TEST(Regex, MatchesLongPieces) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "ab";
  EXPECT_EQ(first("(?:a(?=b)b)+", text), text);
}

}  // namespace
}  // namespace quernel::text
