// The hand-written matchers against PCRE2 running the same expression, and known corner cases.
#include "text/split_rules.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "text/regex.h"
#include "text/utf8.h"

namespace quernel::text {
namespace {

using Pieces = std::vector<std::string>;

template <class Find>
Pieces pieces_of(const std::string& text, Find&& find) {
  Pieces out;
  const char* at = text.data();
  const char* end = at + text.size();
  while (at < end) {
    const Match match = find(at, end);
    if (!match.found()) break;
    if (match.begin != at) out.emplace_back(at, match.begin);
    out.emplace_back(match.begin, match.end);
    at = match.end;
  }
  if (at != end) out.emplace_back(at, end);
  return out;
}

Pieces by_rule(const std::string& name, const std::string& text) {
  const SplitRule* rule = find_split_rule_by_name(name);
  EXPECT_NE(rule, nullptr) << name;
  return pieces_of(text, rule->find);
}

// Characters that every Unicode version since 10 puts into the same categories; kinds of all sorts, close together.
std::string random_text(CounterRng& rng) {
  constexpr std::pair<std::uint32_t, std::uint32_t> kRanges[] = {
      {0x20, 0x7E},     {0x20, 0x7E},     {0xA0, 0x17F},      {0x300, 0x36F},     {0x391, 0x3A1},     {0x3B1, 0x3C9},
      {0x410, 0x44F},   {0x660, 0x669},   {0x1C5, 0x1CC},     {0x2B0, 0x2B8},     {0x2000, 0x200A},   {0x2018, 0x201F},
      {0x2028, 0x2029}, {0x2150, 0x215F}, {0x2190, 0x21FF},   {0x3000, 0x3002},   {0x3041, 0x3096},   {0x4E00, 0x9FA5},
      {0xAC00, 0xD7A3}, {0xFF01, 0xFF5E}, {0x10400, 0x1044F}, {0x1F600, 0x1F64F}, {0x1D7CE, 0x1D7FF}, {0x0, 0x1F}};
  const std::string_view kJoints[] = {" ",   "  ",      "\n", "\r\n", " \n", "\t",     "'s",
                                      "'LL", "'\u017F", "12", "...",  "/",   "\u00A0", "'"};
  std::string out;
  for (std::uint64_t words = rng.below(12); words > 0; --words) {
    const auto [first, last] = kRanges[rng.below(std::size(kRanges))];
    for (std::uint64_t i = rng.below(5); i > 0; --i)
      append_utf8(out, first + static_cast<std::uint32_t>(rng.below(last - first + 1)));
    out += kJoints[rng.below(std::size(kJoints))];
  }
  return out;
}

class Rule : public testing::TestWithParam<std::size_t> {};

TEST_P(Rule, FindsWhatItsExpressionFinds) {
  const SplitRule& rule = split_rules()[GetParam()];
  // PCRE2 takes $ for the very end too where a line feed is the last character; the expression is run as it is.
  const auto regex = Regex::compile(std::string(rule.pattern));
  ASSERT_TRUE(regex.ok()) << to_string(regex.error());
  CounterRng rng(11, rule.name);
  for (int round = 0; round < 4000; ++round) {
    const std::string text = random_text(rng);
    const Pieces theirs = pieces_of(text, [&](const char* at, const char*) { return regex->find(text, at); });
    ASSERT_EQ(pieces_of(text, rule.find), theirs) << rule.name << " of '" << text << "'";
  }
}

INSTANTIATE_TEST_SUITE_P(Text, Rule, testing::Range(std::size_t{0}, split_rules().size()), [](const auto& instance) {
  std::string name(split_rules()[instance.param].name);
  for (char& c : name) c = c == '-' ? '_' : c;
  return name;
});

TEST(SplitRules, KnowCornerCases) {
  EXPECT_EQ(by_rule("gpt2", "it's  two\n\n x"), (Pieces{"it", "'s", " ", " two", "\n\n", " x"}));
  EXPECT_EQ(by_rule("gpt2", "IT'S"), (Pieces{"IT", "'", "S"})) << "contractions in small letters only";
  EXPECT_EQ(by_rule("llama3", "IT'S \n\n 12345x"), (Pieces{"IT", "'S", " \n\n", " ", "123", "45", "x"}));
  EXPECT_EQ(by_rule("qwen2", "a12 .\n"), (Pieces{"a", "1", "2", " .\n"}));
  EXPECT_EQ(by_rule("llama3", "'\u017Fx"), (Pieces{"'\u017F", "x"})) << "the long s folds to s";
  EXPECT_EQ(by_rule("tekken", "HelloWORLD \u4E2DA"), (Pieces{"Hello", "WORLD", " \u4E2D", "A"}));
  EXPECT_EQ(by_rule("o200k", "WE'LL 1234"), (Pieces{"WE'LL", " ", "123", "4"}));
  EXPECT_EQ(by_rule("deepseek-v3", "a\u0007\u4E2D(b ++\n"), (Pieces{"a", "\u0007\u4E2D", "(b", " ++\n"}));
  EXPECT_EQ(by_rule("gpt2", "\xFF\xFE a"), (Pieces{"\xFF\xFE", " a"})) << "invalid bytes are of no kind";
}

TEST(SplitRules, AreFoundByTheirText) {
  EXPECT_EQ(find_split_rule("[\r\n]"), find_split_rule(R"([\r\n])"));
  ASSERT_NE(find_split_rule("[\r\n]"), nullptr);
  EXPECT_EQ(find_split_rule("[\r\n]")->name, "newline");
  EXPECT_EQ(find_split_rule("another"), nullptr);
  EXPECT_EQ(find_split_rule_by_name("another"), nullptr);
  EXPECT_NE(known_split_rules().find("tekken"), std::string::npos);
}

TEST(SplitRules, TrailingSpaceIsLinearInLongRuns) {
  std::string text(1'000'000, ' ');
  text += 'x';
  EXPECT_EQ(by_rule("trailing-space", text), Pieces{text});
}

TEST(Digits, AreUnicodeNumbers) {
  EXPECT_EQ(pieces_of("a12\u0663\u00BDb", find_digit), (Pieces{"a", "1", "2", "\u0663", "\u00BD", "b"}));
  EXPECT_EQ(pieces_of("a12\u0663\u00BDb", find_digits), (Pieces{"a", "12\u0663\u00BD", "b"}));
}

}  // namespace
}  // namespace quernel::text
