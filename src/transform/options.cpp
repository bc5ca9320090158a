// The options of transforms by name: how text becomes TransformSpec, and back.
#include "transform/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace quernel::transform {
namespace {

struct OptionRow {
  const char* transform;
  const char* name;
  const char* choices;
  const char* help;
  std::string (*get)(const TransformSpec& spec);
  bool (*set)(const std::string& value, TransformSpec& spec);  // false: not one of the choices
};

template <class Number>
bool parse(const std::string& text, Number least, Number most, Number& out) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto [stop, fault] = std::from_chars(text.data(), end, number);
  if (fault != std::errc{} || stop != end || !(number >= least && number <= most)) return false;
  out = number;
  return true;
}

bool parse(const std::string& text, bool& out) {
  if (text != "true" && text != "false") return false;
  out = text == "true";
  return true;
}

std::string print(bool value) { return value ? "true" : "false"; }

bool parse_alpha(const std::string& text, TransformSpec& spec) {
  spec.smooth_search = text == "search";
  return spec.smooth_search || parse(text, 0.0, 1.0, spec.smooth_alpha);
}

constexpr std::array kRows = {
    OptionRow{
        "smoothquant", "smooth-alpha", "0..1, search",
        "share of the difficulty that moves from activations to weights; search: by the error of each pair's outputs",
        [](const TransformSpec& s) {
          return s.smooth_search ? std::string("search") : fmt::format("{}", s.smooth_alpha);
        },
        parse_alpha},
    OptionRow{"smoothquant", "smooth-act-bits", "2..8", "bits of activations in the search's error",
              [](const TransformSpec& s) { return fmt::format("{}", s.smooth_act_bits); },
              [](const std::string& v, TransformSpec& s) { return parse(v, 2, 8, s.smooth_act_bits); }},
    OptionRow{"smoothquant", "smooth-down", "true|false", "scale the inputs of down too, against the rows of up",
              [](const TransformSpec& s) { return print(s.smooth_down); },
              [](const std::string& v, TransformSpec& s) { return parse(v, s.smooth_down); }},
    OptionRow{"smoothquant", "smooth-out", "true|false", "scale the inputs of o too, against the rows of v",
              [](const TransformSpec& s) { return print(s.smooth_out); },
              [](const std::string& v, TransformSpec& s) { return parse(v, s.smooth_out); }},
    OptionRow{
        "smoothquant", "smooth-keys", "0..1",
        "share of the range of keys that moves into the queries (SmoothAttention; its paper has 0.5): for low-bit keys",
        [](const TransformSpec& s) { return fmt::format("{}", s.smooth_keys); },
        [](const std::string& v, TransformSpec& s) { return parse(v, 0.0, 1.0, s.smooth_keys); }},
    OptionRow{"awq", "awq-ratios", "1..1000", "grid points of the search",
              [](const TransformSpec& s) { return fmt::format("{}", s.awq_ratios); },
              [](const std::string& v, TransformSpec& s) { return parse(v, 1, 1000, s.awq_ratios); }},
    OptionRow{"awq", "awq-duo", "true|false", "divide by the weights' own mean size",
              [](const TransformSpec& s) { return print(s.awq_duo); },
              [](const std::string& v, TransformSpec& s) { return parse(v, s.awq_duo); }},
    OptionRow{"quarot", "quarot-seed", "0 or more", "seed of the random signs",
              [](const TransformSpec& s) { return fmt::format("{}", s.quarot_seed); },
              [](const std::string& v, TransformSpec& s) {
                return parse<std::uint64_t>(v, 0, ~std::uint64_t{0}, s.quarot_seed);
              }},
    OptionRow{"quarot", "quarot-qk", "true|false",
              "rotate queries and keys after RoPE, while the model runs (R3): for low-bit keys; format quernel only",
              [](const TransformSpec& s) { return print(s.quarot_qk); },
              [](const std::string& v, TransformSpec& s) { return parse(v, s.quarot_qk); }},
    OptionRow{"quarot", "quarot-down", "true|false",
              "rotate the inputs of down, while the model runs (R4): for low-bit activations; format quernel only",
              [](const TransformSpec& s) { return print(s.quarot_down); },
              [](const std::string& v, TransformSpec& s) { return parse(v, s.quarot_down); }},
    OptionRow{"quarot", "quarot-values", "true|false", "rotate the values of each head too (R2)",
              [](const TransformSpec& s) { return print(s.quarot_values); },
              [](const std::string& v, TransformSpec& s) { return parse(v, s.quarot_values); }},
};

const OptionRow* find_row(const std::string& name) {
  const auto row = std::find_if(kRows.begin(), kRows.end(), [&](const OptionRow& r) { return name == r.name; });
  return row == kRows.end() ? nullptr : &*row;
}

}  // namespace

std::vector<quant::MethodOption> options_of(const std::string& transform) {
  std::vector<quant::MethodOption> options;
  for (const OptionRow& row : kRows)
    if (transform == row.transform) options.push_back({row.name, row.get(TransformSpec{}), row.choices, row.help});
  return options;
}

bool has_option(const std::string& name) { return find_row(name) != nullptr; }

Status set_option(const std::string& name, const std::string& value, TransformSpec& spec) {
  const OptionRow* row = find_row(name);
  QUERNEL_CHECK(row != nullptr, "no option {}", name);
  TransformSpec changed = spec;
  if (!row->set(value, changed))
    return Error(Fault::invalid_argument, "not a value of this option")
        .in_field(name)
        .expect(row->choices, value)
        .with_hint(fmt::format("--{} takes {}", name, row->choices));
  spec = changed;
  return {};
}

Json chain_options(const TransformSpec& spec) {
  Json options = Json::object();
  for (const OptionRow& row : kRows)
    if (std::find(spec.chain.begin(), spec.chain.end(), row.transform) != spec.chain.end())
      options[row.name] = row.get(spec);
  return options;
}

}  // namespace quernel::transform
