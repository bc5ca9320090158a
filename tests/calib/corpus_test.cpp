#include "calib/corpus.h"

#include <gtest/gtest.h>

#include <string>
#include <unordered_set>

#include "base/sha256.h"
#include "calib/utf8_check.h"
#include "support/temp_folder.h"

namespace quernel::calib {
namespace {

// A corpus never changes under its name: another text is another version.
TEST(Corpus, MixedV1IsWhatReportsSay) {
  ASSERT_EQ(builtin_corpora().size(), 1U);
  const auto corpus = find_builtin(kDefaultCorpus);
  ASSERT_TRUE(corpus.ok());
  EXPECT_EQ(sha256_hex(corpus->text), "7ea8b97b103836a14189f23a6500bceb232b008b5716f31a0eb976c11932ccba");
}

TEST(Corpus, IsTheCommittedFile) {
  const std::string file = test::read_text(std::string(QUERNEL_SOURCE_DIR) + "/src/calib/corpus/mixed_v1.txt");
  EXPECT_EQ(builtin_corpora().front().text, file);
}

TEST(Corpus, IsCleanText) {
  const std::string_view text = builtin_corpora().front().text;
  EXPECT_EQ(first_invalid_utf8(text), std::nullopt);
  EXPECT_EQ(text.find('\r'), std::string_view::npos);
  EXPECT_EQ(text.find("%%"), std::string_view::npos);  // the stock's separator
}

// Generated documents share phrases, but hardly ever a whole sentence.
TEST(Corpus, RarelyRepeatsItself) {
  const std::string_view text = builtin_corpora().front().text;
  constexpr std::size_t kPiece = 160;
  std::unordered_set<std::string_view> seen;
  std::size_t repeated = 0;
  for (std::size_t start = 0; start + kPiece <= text.size(); ++start) {
    repeated += seen.insert(text.substr(start, kPiece)).second ? 0U : 1U;
  }
  EXPECT_LT(repeated, text.size() / 50);  // 1.3 % of all places begin 160 bytes that stood before
}

}  // namespace
}  // namespace quernel::calib
