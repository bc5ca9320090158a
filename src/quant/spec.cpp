#include "quant/spec.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <utility>

namespace quernel::quant {
namespace {

template <class Enum>
struct Name {
  Enum value;
  const char* name;        // what reports and the command line print
  const char* other_name;  // also understood
};

constexpr std::array<Name<Symmetry>, 3> kSymmetries = {{
    {Symmetry::asymmetric, "asym", "asymmetric"},
    {Symmetry::symmetric, "sym", "symmetric"},
    {Symmetry::full_range_symmetric, "full-range", "full-range-symmetric"},
}};
constexpr std::array<Name<ScaleSearch>, 3> kSearches = {{
    {ScaleSearch::minmax, "minmax", "min-max"},
    {ScaleSearch::mse, "mse", "mse"},
    {ScaleSearch::weighted_mse, "weighted-mse", "weighted_mse"},
}};
constexpr std::array<Name<ColumnOrder>, 3> kOrders = {{
    {ColumnOrder::natural, "natural", "natural"},
    {ColumnOrder::act_order, "act-order", "act_order"},
    {ColumnOrder::group_aware, "group-aware", "group_aware"},
}};

constexpr std::array<Name<Target>, 3> kTargets = {{
    {Target::weight, "weight", "weight"},
    {Target::inputs, "inputs", "inputs"},
    {Target::stream, "stream", "stream"},
}};

template <class Table, class Enum>
std::string name_of(const Table& table, Enum value) {
  for (const auto& row : table) {
    if (row.value == value) return row.name;
  }
  QUERNEL_CHECK(false, "a value without a name");
  return {};
}

template <class Enum, std::size_t N>
Result<Enum> parse(const std::array<Name<Enum>, N>& table, const std::string& name, const char* what) {
  std::string known;
  for (const auto& row : table) {
    if (name == row.name || name == row.other_name) return row.value;
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  return Error(Fault::invalid_argument, fmt::format("no such {}", what)).expect(known, name);
}

Error out_of_range(const char* field, const char* expected, std::string found) {
  return Error(Fault::invalid_argument, fmt::format("{} is out of range", field))
      .in_field(field)
      .expect(expected, std::move(found));
}

}  // namespace

std::string to_string(Symmetry symmetry) { return name_of(kSymmetries, symmetry); }
std::string to_string(ScaleSearch search) { return name_of(kSearches, search); }
std::string to_string(ColumnOrder order) { return name_of(kOrders, order); }
std::string to_string(Target target) { return name_of(kTargets, target); }

Result<Symmetry> parse_symmetry(const std::string& name) { return parse(kSymmetries, name, "symmetry"); }
Result<ScaleSearch> parse_scale_search(const std::string& name) { return parse(kSearches, name, "scale search"); }
Result<ColumnOrder> parse_column_order(const std::string& name) { return parse(kOrders, name, "column order"); }
Result<Target> parse_target(const std::string& name) { return parse(kTargets, name, "target"); }

Status validate(const GridSpec& grid) {
  if (grid.bits != 2 && grid.bits != 3 && grid.bits != 4 && grid.bits != 8) {
    return out_of_range("bits", "2, 3, 4 or 8", fmt::format("{}", grid.bits));
  }
  if (grid.group_size < 1 && grid.group_size != -1) {
    return out_of_range("group-size", "1 or more, or -1 for one group a row", fmt::format("{}", grid.group_size));
  }
  if (grid.scale_dtype != DType::f16 && grid.scale_dtype != DType::bf16 && grid.scale_dtype != DType::f32) {
    return out_of_range("scale-dtype", "F16, BF16 or F32", std::string(to_string(grid.scale_dtype)));
  }
  if (grid.search_steps < 1 || grid.search_steps > kMaxSearchSteps) {
    return out_of_range("search-steps", "1 .. 256", fmt::format("{}", grid.search_steps));
  }
  if (!(grid.search_min_factor > 0.0 && grid.search_min_factor <= 1.0)) {
    return out_of_range("search-min-factor", "above 0, at most 1", fmt::format("{}", grid.search_min_factor));
  }
  if (!(grid.lp_norm > 0.0 && grid.lp_norm <= 1.0)) {
    return out_of_range("lp-norm", "above 0, at most 1", fmt::format("{}", grid.lp_norm));
  }
  if (grid.lp_rounds < 0 || grid.lp_rounds > 1000) {
    return out_of_range("lp-rounds", "0 .. 1000", fmt::format("{}", grid.lp_rounds));
  }
  return {};
}

Status validate(const SolverSpec& solver) {
  if (!(solver.damp_limit > 0.0 && solver.damp_limit <= 1.0)) {
    return out_of_range("damp-limit", "above 0, at most 1", fmt::format("{}", solver.damp_limit));
  }
  if (!(solver.damp > 0.0 && solver.damp <= solver.damp_limit)) {
    return out_of_range("damp", "above 0, at most damp-limit", fmt::format("{}", solver.damp));
  }
  if (!(solver.damp_step > 0.0 && std::isfinite(solver.damp_step))) {
    return out_of_range("damp-step", "above 0", fmt::format("{}", solver.damp_step));
  }
  if (!(solver.target_strength >= 0.0 && solver.target_strength <= 1.0)) {
    return out_of_range("target-strength", "0 .. 1", fmt::format("{}", solver.target_strength));
  }
  const RefineSpec& refine = solver.refine;
  if (refine.rounds < 0 || refine.rounds > kMaxRefineRounds) {
    return out_of_range("refine-rounds", "0 .. 100", fmt::format("{}", refine.rounds));
  }
  if (refine.search_steps < 0 || refine.search_steps > kMaxSearchSteps) {
    return out_of_range("refine-steps", "0 .. 256", fmt::format("{}", refine.search_steps));
  }
  if (!(refine.search_span > 0.0 && refine.search_span < 1.0)) {
    return out_of_range("refine-span", "above 0, below 1", fmt::format("{}", refine.search_span));
  }
  if (solver.block_size < 1) return out_of_range("block-size", "1 or more", fmt::format("{}", solver.block_size));
  return {};
}

}  // namespace quernel::quant
