#include "text/normalize.h"

#include <gtest/gtest.h>

namespace quernel::text {
namespace {

std::string run(const std::vector<NormalizeStep>& steps, std::string_view text) {
  const auto made = Normalizer::create(steps);
  EXPECT_TRUE(made.ok());
  std::string storage;
  return std::string(made->normalize(text, storage));
}

TEST(Normalizer, ComposesWhatIsValid) {
  const std::vector<NormalizeStep> nfc = {{NormalizeKind::nfc, "", ""}};
  EXPECT_EQ(run(nfc, "e\u0301"), "\u00E9");
  EXPECT_EQ(run(nfc, "\u212B \u1100\u1161\u11A8"), "\u00C5 \uAC01") << "the angstrom sign, and jamo to a syllable";
  EXPECT_EQ(run(nfc,
                "\xFF"
                "e\u0301\xC3"),
            "\xFF\u00E9\xC3")
      << "invalid bytes stay";
  EXPECT_EQ(run(nfc, "a\u0323\u0307"), "\u1EA1\u0307");
  EXPECT_EQ(run(nfc, std::string("\0e\u0301", 4)), std::string("\0\u00E9", 3));
}

TEST(Normalizer, DoesNotCopyWhatStays) {
  const auto made = Normalizer::create({{NormalizeKind::nfc, "", ""}, {NormalizeKind::replace_text, "#", "+"}});
  const std::string text = "plain \uD55C\uAE00";
  std::string storage;
  EXPECT_EQ(made->normalize(text, storage).data(), text.data());
}

TEST(Normalizer, PrependsAndReplacesInOrder) {
  const std::vector<NormalizeStep> llama = {{NormalizeKind::prepend, "", "_"}, {NormalizeKind::replace_text, " ", "_"}};
  EXPECT_EQ(run(llama, "a b"), "_a_b");
  EXPECT_EQ(run(llama, ""), "");
  EXPECT_EQ(run({{NormalizeKind::replace_text, "aa", "b"}}, "aaaaa"), "bba");
  EXPECT_EQ(run({{NormalizeKind::replace_regex, " {2,}", " "}}, "a   b c    "), "a b c ");
}

TEST(Normalizer, RefusesWhatCannotBe) {
  EXPECT_FALSE(Normalizer::create({{NormalizeKind::replace_text, "", "x"}}).ok());
  EXPECT_FALSE(Normalizer::create({{NormalizeKind::replace_regex, "(", "x"}}).ok());
  EXPECT_FALSE(Normalizer::create(std::vector<NormalizeStep>(33)).ok());
}

}  // namespace
}  // namespace quernel::text
