#include "text/limits.h"

#include <gtest/gtest.h>

#include "support/documented_limits.h"

namespace quernel::text {
namespace {

TEST(Limits, CodeAndDocumentAgree) {
  const test::Limits code = {{"kMaxTokens", kMaxTokens},
                             {"kMaxMerges", kMaxMerges},
                             {"kMaxTokenBytes", kMaxTokenBytes},
                             {"kMaxAddedTokens", kMaxAddedTokens},
                             {"kMaxAddedTokenBytes", kMaxAddedTokenBytes},
                             {"kMaxAddedBytes", kMaxAddedBytes},
                             {"kMaxPatternBytes", kMaxPatternBytes},
                             {"kMaxSteps", kMaxSteps}};
  EXPECT_EQ(test::documented_limits("Vocabularies"), code);
}

}  // namespace
}  // namespace quernel::text
