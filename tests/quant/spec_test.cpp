#include "quant/spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace quernel::quant {
namespace {

using ::testing::HasSubstr;

TEST(Spec, NamesGoBothWays) {
  for (const auto value : {Symmetry::asymmetric, Symmetry::symmetric, Symmetry::full_range_symmetric}) {
    EXPECT_EQ(parse_symmetry(to_string(value)).value(), value);
  }
  for (const auto value : {ScaleSearch::minmax, ScaleSearch::mse, ScaleSearch::weighted_mse}) {
    EXPECT_EQ(parse_scale_search(to_string(value)).value(), value);
  }
  for (const auto value : {ColumnOrder::natural, ColumnOrder::act_order, ColumnOrder::group_aware}) {
    EXPECT_EQ(parse_column_order(to_string(value)).value(), value);
  }
  EXPECT_EQ(parse_symmetry("asymmetric").value(), Symmetry::asymmetric);
  EXPECT_EQ(parse_column_order("act_order").value(), ColumnOrder::act_order);
}

TEST(Spec, UnknownNamesListTheKnown) {
  EXPECT_THAT(to_string(parse_symmetry("both").error()), HasSubstr("asym, sym, full-range"));
  EXPECT_THAT(to_string(parse_column_order("").error()), HasSubstr("group-aware"));
}

TEST(Spec, DefaultsAreValid) {
  EXPECT_TRUE(validate(GridSpec{}).ok());
  EXPECT_TRUE(validate(SolverSpec{}).ok());
  for (const int bits : {2, 3, 4, 8}) {
    GridSpec grid;
    grid.bits = bits;
    grid.group_size = -1;
    EXPECT_TRUE(validate(grid).ok());
  }
}

template <class Spec, class Change>
std::string refusal(Change change) {
  Spec spec;
  change(spec);
  const Status status = validate(spec);
  return status.ok() ? "ok" : status.error().field;
}

TEST(Spec, RefusesWhatCannotBe) {
  for (const int bits : {-1, 0, 1, 5, 6, 7, 9, 16}) {
    EXPECT_EQ(refusal<GridSpec>([=](GridSpec& s) { s.bits = bits; }), "bits");
  }
  for (const std::int64_t size : {std::int64_t{0}, std::int64_t{-2}, std::numeric_limits<std::int64_t>::min()}) {
    EXPECT_EQ(refusal<GridSpec>([=](GridSpec& s) { s.group_size = size; }), "group-size");
  }
  EXPECT_EQ(refusal<GridSpec>([](GridSpec& s) { s.scale_dtype = DType::i8; }), "scale-dtype");
  EXPECT_EQ(refusal<GridSpec>([](GridSpec& s) { s.search_steps = 0; }), "search-steps");
  EXPECT_EQ(refusal<GridSpec>([](GridSpec& s) { s.search_steps = 257; }), "search-steps");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double bad : {0.0, -1.0, 1.1, nan}) {
    EXPECT_EQ(refusal<GridSpec>([=](GridSpec& s) { s.search_min_factor = bad; }), "search-min-factor");
    EXPECT_EQ(refusal<SolverSpec>([=](SolverSpec& s) { s.damp = bad; }), "damp");
    EXPECT_EQ(refusal<SolverSpec>([=](SolverSpec& s) { s.damp_limit = bad; }), "damp-limit");
  }
  EXPECT_EQ(refusal<SolverSpec>([](SolverSpec& s) { s.damp_step = 0.0; }), "damp-step");
  EXPECT_EQ(refusal<SolverSpec>([](SolverSpec& s) { s.block_size = 0; }), "block-size");
}

}  // namespace
}  // namespace quernel::quant
