#include "pipeline/module_filter.h"

#include <gtest/gtest.h>

namespace quernel::pipeline {
namespace {

TEST(ModuleFilter, MatchesAnywhereInTheName) {
  const auto filter = ModuleFilter::create({"layers\\.0\\.", "down_proj$"});
  ASSERT_TRUE(filter.ok());
  EXPECT_TRUE(filter->matches("model.layers.0.self_attn.q_proj"));
  EXPECT_TRUE(filter->matches("model.layers.7.mlp.down_proj"));
  EXPECT_FALSE(filter->matches("model.layers.10.self_attn.q_proj"));
  EXPECT_FALSE(ModuleFilter::create({})->matches("anything"));
}

TEST(ModuleFilter, ABadPatternIsAUsageErrorWithItsPlace) {
  const auto filter = ModuleFilter::create({"layers.(0"});
  ASSERT_FALSE(filter.ok());
  EXPECT_EQ(filter.error().fault, Fault::usage);
  EXPECT_TRUE(filter.error().offset.has_value());
}

TEST(ModuleFilter, ARunawayPatternEnds) {
  const auto filter = ModuleFilter::create({"(a+)+$"});
  ASSERT_TRUE(filter.ok());
  EXPECT_FALSE(filter->matches(std::string(200, 'a') + "b"));
}

}  // namespace
}  // namespace quernel::pipeline
