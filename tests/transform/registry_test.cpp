#include <gtest/gtest.h>

#include <set>

#include "transform/transform.h"

namespace quernel::transform {
namespace {

TEST(TransformRegistry, ChoicesOfTheCommandLine) {
  EXPECT_EQ(preprocess_choices(), (std::vector<std::string>{"none", "smoothquant", "awq", "reorder", "quarot",
                                                            "smoothquant+quarot", "reorder+quarot"}));
}

TEST(TransformRegistry, EveryChoiceParsesToItsChain) {
  for (const std::string& choice : preprocess_choices()) {
    const auto chain = parse_preprocess(choice);
    ASSERT_TRUE(chain.ok()) << choice;
    EXPECT_EQ(to_string(*chain), choice);
  }
}

TEST(TransformRegistry, RefusesWhatCannotBe) {
  for (const char* text : {"quarot+smoothquant", "awq+quarot", "awq+awq", "quaro", "", "+", "none+awq", "awq+"}) {
    const auto chain = parse_preprocess(text);
    ASSERT_FALSE(chain.ok()) << text;
    EXPECT_EQ(chain.error().fault, Fault::unsupported);
    EXPECT_NE(chain.error().expected.find("smoothquant+quarot"), std::string::npos) << text;
  }
  EXPECT_NE(parse_preprocess("quaro").error().hint.find("quarot"), std::string::npos);
}

TEST(TransformRegistry, RowsAreWhole) {
  for (const Transform& row : transforms()) {
    EXPECT_FALSE(row.summary.empty());
    EXPECT_FALSE(row.source.empty());
    EXPECT_NE(row.check, nullptr);
    EXPECT_NE(row.find_scales == nullptr, row.make_change == nullptr);
  }
}

TEST(TransformRegistry, DefaultsAreWhatTheRowsSayAndReadBack) {
  std::set<std::string> names;
  for (const Transform& row : transforms()) {
    TransformSpec spec;
    spec.chain = {row.name};
    const Json options = chain_options(spec);
    for (const quant::MethodOption& option : row.options) {
      EXPECT_TRUE(names.insert(option.name).second) << option.name;
      EXPECT_TRUE(has_option(option.name));
      EXPECT_EQ(options.at(option.name).get<std::string>(), option.default_value);
      EXPECT_TRUE(set_option(option.name, option.default_value, spec).ok());
      EXPECT_FALSE(set_option(option.name, "no such value", spec).ok());
    }
  }
}

TEST(TransformRegistry, OptionsAreSet) {
  TransformSpec spec;
  spec.chain = {"smoothquant", "quarot"};
  EXPECT_TRUE(set_option("smooth-alpha", "0.8", spec).ok());
  EXPECT_EQ(spec.smooth_alpha, 0.8);
  EXPECT_TRUE(set_option("smooth-alpha", "search", spec).ok());
  EXPECT_TRUE(spec.smooth_search);
  EXPECT_TRUE(set_option("quarot-seed", "7", spec).ok());
  EXPECT_FALSE(set_option("smooth-alpha", "1.5", spec).ok());
  EXPECT_FALSE(set_option("smooth-alpha", "nan", spec).ok());
  EXPECT_FALSE(set_option("awq-ratios", "0", spec).ok());
  const Json options = chain_options(spec);
  EXPECT_EQ(options.at("quarot-seed"), "7");
  EXPECT_FALSE(options.contains("awq-ratios"));
}

TEST(TransformRegistry, OnlyRotationsChangeTheStream) {
  EXPECT_TRUE(keeps_stream({}));
  for (const char* name : {"smoothquant", "awq", "reorder"}) EXPECT_TRUE(keeps_stream({name})) << name;
  EXPECT_FALSE(keeps_stream({"quarot"}));
  EXPECT_FALSE(keeps_stream({"smoothquant", "quarot"}));
  EXPECT_FALSE(keeps_stream({"no such transform"}));
}

TEST(TransformRegistry, ReorderRefusesWhatMixesItsChannelsAgain) {
  const Transform* row = find_transform("reorder").value();
  TransformSpec spec;
  spec.chain = {"reorder", "quarot"};
  EXPECT_TRUE(row->check({}, spec).ok());
  spec.quarot_down = true;
  EXPECT_EQ(row->check({}, spec).error().field, "--quarot-down");
  spec.chain = {"reorder"};
  EXPECT_TRUE(row->check({}, spec).ok());
}

}  // namespace
}  // namespace quernel::transform
