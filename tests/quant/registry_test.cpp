#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "quant/method.h"

namespace quernel::quant {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Registry, RowsAreComplete) {
  std::set<std::string> names;
  for (const Method& method : methods()) {
    SCOPED_TRACE(method.name);
    EXPECT_TRUE(names.insert(method.name).second);
    EXPECT_FALSE(method.summary.empty());
    EXPECT_FALSE(method.source.empty());
    EXPECT_FALSE(method.bits.empty());
    EXPECT_FALSE(method.formats.empty());
    EXPECT_FALSE(method.options.empty());
    EXPECT_NE(method.run, nullptr);
    EXPECT_EQ(find_method(method.name).value(), &method);
    std::set<std::string> options;
    for (const MethodOption& option : method.options) EXPECT_TRUE(options.insert(option.name).second) << option.name;
  }
  EXPECT_TRUE(names.contains("gptq"));
  EXPECT_TRUE(names.contains("rtn"));
}

TEST(Registry, SuggestsTheNearestName) {
  EXPECT_THAT(to_string(find_method("gtpq").error()), HasSubstr("did you mean gptq?"));
  EXPECT_THAT(to_string(find_method("rtm").error()), HasSubstr("did you mean rtn?"));
  const std::string unlike = to_string(find_method("something-else").error());
  EXPECT_THAT(unlike, Not(HasSubstr("did you mean")));
  EXPECT_THAT(unlike, HasSubstr("gptq, qoq, rtn"));
}

}  // namespace
}  // namespace quernel::quant
