#include "quant/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <iterator>
#include <span>

namespace quernel::quant {
namespace {

using GetOption = std::string (*)(const GridSpec& grid, const SolverSpec& solver);
using SetOption = Status (*)(const std::string& value, GridSpec& grid, SolverSpec& solver);

struct OptionRow {
  const char* name;
  const char* choices;
  const char* help;
  GetOption get;
  SetOption set;
};

Error not_a(const char* what, const std::string& value) {
  return Error(Fault::invalid_argument, fmt::format("not {}", what)).expect(what, value);
}

template <class Number>
Status parse_number(const std::string& text, const char* what, Number& out) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto [stop, fault] = std::from_chars(text.data(), end, number);
  if (fault != std::errc{} || stop != end) return not_a(what, text);
  if constexpr (std::is_floating_point_v<Number>) {
    if (!std::isfinite(number)) return not_a(what, text);
  }
  out = number;
  return {};
}

Status parse_switch(const std::string& text, bool& out) {
  if (text != "true" && text != "false") return not_a("true or false", text);
  out = text == "true";
  return {};
}

template <class Enum>
Status assign(Result<Enum> parsed, Enum& out) {
  if (!parsed.ok()) return std::move(parsed).error();
  out = *parsed;
  return {};
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

Status parse_scale_dtype(const std::string& text, DType& out) {
  for (const DType dtype : {DType::f16, DType::bf16, DType::f32}) {
    if (lower(text) != lower(std::string(to_string(dtype)))) continue;
    out = dtype;
    return {};
  }
  return not_a("f16, bf16 or f32", text);
}

constexpr std::array kGridRows = {
    OptionRow{
        "bits", "2|3|4|8", "bits of a code",
        [](const GridSpec& g, const SolverSpec&) { return fmt::format("{}", g.bits); },
        [](const std::string& v, GridSpec& g, SolverSpec&) { return parse_number(v, "a number of bits", g.bits); }},
    OptionRow{"group-size", "1 or more, -1", "weights along the input that share a scale; -1: one group a row",
              [](const GridSpec& g, const SolverSpec&) { return fmt::format("{}", g.group_size); },
              [](const std::string& v, GridSpec& g, SolverSpec&) {
                return parse_number(v, "a number of weights", g.group_size);
              }},
    OptionRow{"symmetry", "asym|sym|full-range", "integer zero point; fixed middle; fixed middle with all codes in use",
              [](const GridSpec& g, const SolverSpec&) { return to_string(g.symmetry); },
              [](const std::string& v, GridSpec& g, SolverSpec&) { return assign(parse_symmetry(v), g.symmetry); }},
    OptionRow{"scale-dtype", "f16|bf16|f32", "type that scales are rounded to before codes are chosen",
              [](const GridSpec& g, const SolverSpec&) { return lower(std::string(to_string(g.scale_dtype))); },
              [](const std::string& v, GridSpec& g, SolverSpec&) { return parse_scale_dtype(v, g.scale_dtype); }},
    OptionRow{"search", "minmax|mse|weighted-mse",
              "how a group's scale is found; weighted: by the mean square of each input",
              [](const GridSpec& g, const SolverSpec&) { return to_string(g.search); },
              [](const std::string& v, GridSpec& g, SolverSpec&) { return assign(parse_scale_search(v), g.search); }},
    OptionRow{"search-steps", "1 .. 256", "trial scales of a search",
              [](const GridSpec& g, const SolverSpec&) { return fmt::format("{}", g.search_steps); },
              [](const std::string& v, GridSpec& g, SolverSpec&) {
                return parse_number(v, "a number of steps", g.search_steps);
              }},
    OptionRow{"search-min-factor", "above 0, at most 1", "smallest trial scale as a share of the whole range's",
              [](const GridSpec& g, const SolverSpec&) { return fmt::format("{}", g.search_min_factor); },
              [](const std::string& v, GridSpec& g, SolverSpec&) {
                return parse_number(v, "a number", g.search_min_factor);
              }},
};

constexpr std::array kSolverRows = {
    OptionRow{"order", "natural|act-order|group-aware", "order in which columns are rounded",
              [](const GridSpec&, const SolverSpec& s) { return to_string(s.order); },
              [](const std::string& v, GridSpec&, SolverSpec& s) { return assign(parse_column_order(v), s.order); }},
    OptionRow{"static-groups", "true|false",
              "find grids on the original weight; false: on the compensated one (with act-order this needs g_idx)",
              [](const GridSpec&, const SolverSpec& s) { return std::string(s.static_groups ? "true" : "false"); },
              [](const std::string& v, GridSpec&, SolverSpec& s) { return parse_switch(v, s.static_groups); }},
    OptionRow{"damp", "above 0, at most damp-limit", "share of the mean of diag(H) added to its diagonal",
              [](const GridSpec&, const SolverSpec& s) { return fmt::format("{}", s.damp); },
              [](const std::string& v, GridSpec&, SolverSpec& s) { return parse_number(v, "a number", s.damp); }},
    OptionRow{"damp-step", "above 0", "added to damp after each factorisation that fails",
              [](const GridSpec&, const SolverSpec& s) { return fmt::format("{}", s.damp_step); },
              [](const std::string& v, GridSpec&, SolverSpec& s) { return parse_number(v, "a number", s.damp_step); }},
    OptionRow{"damp-limit", "above 0, at most 1", "damping above which a matrix falls back to rtn",
              [](const GridSpec&, const SolverSpec& s) { return fmt::format("{}", s.damp_limit); },
              [](const std::string& v, GridSpec&, SolverSpec& s) { return parse_number(v, "a number", s.damp_limit); }},
    OptionRow{"block-size", "1 or more", "columns whose updates are delayed together; changes speed, not the result",
              [](const GridSpec&, const SolverSpec& s) { return fmt::format("{}", s.block_size); },
              [](const std::string& v, GridSpec&, SolverSpec& s) {
                return parse_number(v, "a number of columns", s.block_size);
              }},
};

constexpr std::array kTargetRows = {
    OptionRow{"target", "weight|inputs|stream",
              "round the weight itself, or what makes up for drifted inputs, or for those and the residual stream",
              [](const GridSpec&, const SolverSpec& s) { return to_string(s.target); },
              [](const std::string& v, GridSpec&, SolverSpec& s) { return assign(parse_target(v), s.target); }},
    OptionRow{
        "target-strength", "0 .. 1", "share of that correction",
        [](const GridSpec&, const SolverSpec& s) { return fmt::format("{}", s.target_strength); },
        [](const std::string& v, GridSpec&, SolverSpec& s) { return parse_number(v, "a number", s.target_strength); }},
};

constexpr std::array kRefineRows = {
    OptionRow{"refine-rounds", "0 .. 100", "rounds of scale refit and coordinate descent on codes; 0: none",
              [](const GridSpec&, const SolverSpec& s) { return fmt::format("{}", s.refine.rounds); },
              [](const std::string& v, GridSpec&, SolverSpec& s) {
                return parse_number(v, "a number of rounds", s.refine.rounds);
              }},
    OptionRow{"refine-steps", "0 .. 256",
              "trial scales of a group in each of these rounds, judged by the layer's error",
              [](const GridSpec&, const SolverSpec& s) { return fmt::format("{}", s.refine.search_steps); },
              [](const std::string& v, GridSpec&, SolverSpec& s) {
                return parse_number(v, "a number of steps", s.refine.search_steps);
              }},
    OptionRow{"refine-span", "above 0, below 1", "trial scales lie within a scale times 1 plus or minus this",
              [](const GridSpec&, const SolverSpec& s) { return fmt::format("{}", s.refine.search_span); },
              [](const std::string& v, GridSpec&, SolverSpec& s) {
                return parse_number(v, "a number", s.refine.search_span);
              }},
};

constexpr std::array kSuperWeightRows = {
    OptionRow{
        "super-weights", "off|auto",
        "auto: a weight of down_proj that makes its layer's largest output all but alone is stored beside the codes",
        [](const GridSpec&, const SolverSpec& s) { return std::string(s.super_weights ? "auto" : "off"); },
        [](const std::string& v, GridSpec&, SolverSpec& s) -> Status {
          if (v != "off" && v != "auto") return not_a("off or auto", v);
          s.super_weights = v == "auto";
          return {};
        }},
};

constexpr std::array kHqqRows = {
    OptionRow{"lp-norm", "above 0, at most 1", "exponent of the error that is minimised",
              [](const GridSpec& g, const SolverSpec&) { return fmt::format("{}", g.lp_norm); },
              [](const std::string& v, GridSpec& g, SolverSpec&) { return parse_number(v, "a number", g.lp_norm); }},
    OptionRow{"lp-rounds", "0 .. 1000", "rounds of shrinking and refitting at most",
              [](const GridSpec& g, const SolverSpec&) { return fmt::format("{}", g.lp_rounds); },
              [](const std::string& v, GridSpec& g, SolverSpec&) {
                return parse_number(v, "a number of rounds", g.lp_rounds);
              }},
};

std::vector<MethodOption> describe(std::span<const OptionRow> rows) {
  std::vector<MethodOption> options;
  for (const OptionRow& row : rows) {
    options.push_back({row.name, row.get(GridSpec{}, SolverSpec{}), row.choices, row.help});
  }
  return options;
}

const OptionRow* find_row(const std::string& name) {
  for (const std::span<const OptionRow> rows :
       {std::span<const OptionRow>(kGridRows), std::span<const OptionRow>(kSolverRows),
        std::span<const OptionRow>(kTargetRows), std::span<const OptionRow>(kRefineRows),
        std::span<const OptionRow>(kSuperWeightRows), std::span<const OptionRow>(kHqqRows)}) {
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const OptionRow& r) { return name == r.name; });
    if (row != rows.end()) return &*row;
  }
  return nullptr;
}

}  // namespace

std::vector<MethodOption> grid_options() { return describe(kGridRows); }
std::vector<MethodOption> hqq_options() { return describe(kHqqRows); }
std::vector<MethodOption> solver_options() { return describe(kSolverRows); }
std::vector<MethodOption> target_options() { return describe(kTargetRows); }
std::vector<MethodOption> refine_options() { return describe(kRefineRows); }
std::vector<MethodOption> super_weight_options() { return describe(kSuperWeightRows); }

std::string get_option(const std::string& name, const GridSpec& grid, const SolverSpec& solver) {
  const OptionRow* row = find_row(name);
  QUERNEL_CHECK(row != nullptr, "no option {}", name);
  return row->get(grid, solver);
}

Status set_option(const std::string& name, const std::string& value, GridSpec& grid, SolverSpec& solver) {
  const OptionRow* row = find_row(name);
  if (row == nullptr) {
    return Error(Fault::invalid_argument, fmt::format("no quantization method has an option {}", name)).in_field(name);
  }
  GridSpec new_grid = grid;
  SolverSpec new_solver = solver;
  if (Status status = row->set(value, new_grid, new_solver); !status.ok()) {
    return std::move(status).error().in_field(name).with_hint(fmt::format("--{} takes {}", name, row->choices));
  }
  grid = new_grid;
  solver = new_solver;
  return {};
}

}  // namespace quernel::quant
