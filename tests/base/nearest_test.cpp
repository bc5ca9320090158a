#include "base/nearest.h"

#include <gtest/gtest.h>

#include <vector>

namespace quernel {
namespace {

TEST(Nearest, CountsEdits) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("gptq", "gptq"), 0U);
  EXPECT_EQ(edit_distance("gptq", "gtpq"), 2U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
}

TEST(Nearest, GuessesOnlyWhatIsNear) {
  const std::vector<std::string> names{"--bits", "--group-size", "quantize"};
  EXPECT_EQ(nearest_word(names, "--bist"), "--bits");
  EXPECT_EQ(nearest_word(names, "quantise"), "quantize");
  EXPECT_EQ(nearest_word(names, "xyz"), "");
  EXPECT_EQ(nearest_word({}, "bits"), "");
}

}  // namespace
}  // namespace quernel
