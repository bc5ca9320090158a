#include <gtest/gtest.h>

#include "model/config_json.h"
#include "support/documented_limits.h"

namespace quernel::model {
namespace {

TEST(Limits, CodeAndDocumentAgree) {
  const test::Limits code = {
      {"kMaxVocabSize", kMaxVocabSize}, {"kMaxWidth", kMaxWidth}, {"kMaxIntermediateSize", kMaxIntermediateSize},
      {"kMaxLayers", kMaxLayers},       {"kMaxHeads", kMaxHeads}, {"kMaxHeadDim", kMaxHeadDim},
      {"kMaxPositions", kMaxPositions}};
  EXPECT_EQ(test::documented_limits("Models"), code);
}

}  // namespace
}  // namespace quernel::model
