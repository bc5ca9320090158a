#include "quant/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quernel::quant {
namespace {

using ::testing::HasSubstr;

std::string refusal(const std::string& name, const std::string& value) {
  GridSpec grid;
  SolverSpec solver;
  const Status status = set_option(name, value, grid, solver);
  return status.ok() ? "ok" : to_string(status.error());
}

TEST(Options, DefaultsAreThoseOfTheSpecifications) {
  for (const std::vector<MethodOption>& options :
       {grid_options(), solver_options(), target_options(), refine_options()}) {
    for (const MethodOption& option : options) {
      GridSpec grid;
      SolverSpec solver;
      ASSERT_TRUE(set_option(option.name, option.default_value, grid, solver).ok()) << option.name;
      EXPECT_EQ(get_option(option.name, grid, solver), option.default_value);
      EXPECT_FALSE(option.help.empty());
      EXPECT_FALSE(option.choices.empty());
    }
  }
}

TEST(Options, SetWhatTheyName) {
  GridSpec grid;
  SolverSpec solver;
  const std::pair<const char*, const char*> settings[] = {{"bits", "3"},
                                                          {"group-size", "-1"},
                                                          {"symmetry", "full-range"},
                                                          {"scale-dtype", "bf16"},
                                                          {"search", "minmax"},
                                                          {"search-steps", "17"},
                                                          {"search-min-factor", "0.25"},
                                                          {"order", "group-aware"},
                                                          {"static-groups", "false"},
                                                          {"damp", "0.125"},
                                                          {"damp-step", "0.5"},
                                                          {"damp-limit", "0.75"},
                                                          {"block-size", "64"},
                                                          {"target", "inputs"},
                                                          {"target-strength", "0.5"},
                                                          {"refine-rounds", "7"},
                                                          {"refine-steps", "9"},
                                                          {"refine-span", "0.2"},
                                                          {"super-weights", "auto"}};
  for (const auto& [name, value] : settings) {
    ASSERT_TRUE(set_option(name, value, grid, solver).ok()) << name;
    EXPECT_EQ(get_option(name, grid, solver), value);
  }
  EXPECT_EQ(std::size(settings), grid_options().size() + solver_options().size() + target_options().size() +
                                     refine_options().size() + super_weight_options().size());
  EXPECT_EQ(grid.bits, 3);
  EXPECT_EQ(grid.group_size, -1);
  EXPECT_EQ(grid.symmetry, Symmetry::full_range_symmetric);
  EXPECT_EQ(grid.scale_dtype, DType::bf16);
  EXPECT_EQ(grid.search, ScaleSearch::minmax);
  EXPECT_EQ(grid.search_steps, 17);
  EXPECT_EQ(grid.search_min_factor, 0.25);
  EXPECT_EQ(solver.order, ColumnOrder::group_aware);
  EXPECT_FALSE(solver.static_groups);
  EXPECT_TRUE(solver.super_weights);
  EXPECT_EQ(solver.damp, 0.125);
  EXPECT_EQ(solver.damp_step, 0.5);
  EXPECT_EQ(solver.damp_limit, 0.75);
  EXPECT_EQ(solver.block_size, 64);
}

TEST(Options, RefuseWhatTheyCannotRead) {
  EXPECT_THAT(refusal("bits", "four"), HasSubstr("2|3|4|8"));
  EXPECT_THAT(refusal("bits", "4x"), HasSubstr("field bits"));
  EXPECT_THAT(refusal("bits", ""), HasSubstr("field bits"));
  EXPECT_THAT(refusal("group-size", "99999999999999999999"), HasSubstr("group-size"));
  EXPECT_THAT(refusal("damp", "nan"), HasSubstr("damp"));
  EXPECT_THAT(refusal("static-groups", "maybe"), HasSubstr("true or false"));
  EXPECT_THAT(refusal("super-weights", "true"), HasSubstr("off or auto"));
  EXPECT_THAT(refusal("scale-dtype", "i8"), HasSubstr("f16|bf16|f32"));
  EXPECT_THAT(refusal("colour", "red"), HasSubstr("colour"));
}

TEST(Options, ARefusedValueChangesNothing) {
  GridSpec grid;
  SolverSpec solver;
  EXPECT_FALSE(set_option("bits", "x", grid, solver).ok());
  EXPECT_EQ(grid.bits, GridSpec{}.bits);
}

}  // namespace
}  // namespace quernel::quant
