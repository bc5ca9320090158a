// One row a method. The command line, the reports and the bindings read these rows; nothing else is edited for a
// new one.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/nearest.h"
#include "quant/methods.h"
#include "quant/options.h"

namespace quernel::quant {
namespace {

std::vector<MethodOption> joined(std::vector<MethodOption> first, const std::vector<MethodOption>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// For methods that find scales in their own way.
std::vector<MethodOption> without_search(std::vector<MethodOption> options) {
  std::erase_if(options, [](const MethodOption& option) { return option.name.starts_with("search"); });
  return options;
}

std::vector<Method> make_methods() {
  const std::vector<std::string> integer_formats = {"gptq", "awq", "compressed-tensors"};
  const std::vector<std::string> every_transform = {"smoothquant", "awq", "reorder", "quarot"};
  std::vector<Method> rows;
  rows.push_back(
      {.name = "awq",
       .summary = "Rounds to the nearest value of grids whose ranges are clipped where the outputs gain by it",
       .source = "Lin et al., AWQ, MLSys 2024; its scales are the preprocessing of the same name",
       .needs_statistics = true,
       .bits = {3, 4, 8},
       .formats = integer_formats,
       .combines_with = {"awq", "smoothquant", "reorder"},
       .default_preprocess = "awq",
       .options = without_search(grid_options()),
       .run = run_awq});
  rows.push_back(
      {.name = "gptq",
       .summary = "Rounds column by column and lets the columns still open make up for each error",
       .source = "Frantar et al., GPTQ, ICLR 2023",
       .needs_statistics = true,
       .bits = {2, 3, 4, 8},
       .formats = integer_formats,
       .combines_with = every_transform,
       .options = joined(joined(grid_options(), solver_options()), joined(target_options(), refine_options())),
       .run = run_gptq});
  rows.push_back(
      {.name = "qoq",
       .summary = "GPTQ on the integer runtime's grid: UINT4 groups with integer scales inside INT8 rows",
       .source = "Lin et al., QServe, arXiv 2405.04532",
       .needs_statistics = true,
       .bits = {4},
       .formats = {"quernel"},
       .combines_with = every_transform,
       .options = joined(joined(joined(grid_options(), solver_options()), joined(target_options(), refine_options())),
                         super_weight_options()),
       .run = run_qoq});
  rows.push_back(
      {.name = "rtn",
       .summary = "Rounds each weight to the nearest value of its group's grid",
       .source = "plain rounding; with statistics, scales by error weighted with the mean square of each input",
       .needs_statistics = false,
       .bits = {2, 3, 4, 8},
       .formats = integer_formats,
       .combines_with = every_transform,
       .options = grid_options(),
       .run = run_rtn});
  rows.push_back({.name = "hqq",
                  .summary = "Fits each group's scale and zero point to the bulk of its weights, without any data",
                  .source = "Badri, Shaji, Half-Quadratic Quantization, 2023",
                  .needs_statistics = false,
                  .bits = {2, 3, 4, 8},
                  .formats = integer_formats,
                  .combines_with = every_transform,
                  .options = joined(without_search(grid_options()), hqq_options()),
                  .run = run_hqq});
  return rows;
}

}  // namespace

std::span<const Method> methods() {
  static const std::vector<Method> kMethods = make_methods();
  return kMethods;
}

Result<const Method*> find_method(const std::string& name) {
  std::vector<std::string> known;
  for (const Method& method : methods()) {
    if (method.name == name) return &method;
    known.push_back(method.name);
  }
  Error error =
      Error(Fault::unsupported, "no such quantization method").expect(fmt::format("{}", fmt::join(known, ", ")), name);
  const std::string nearest = nearest_word(known, name);
  if (!nearest.empty()) return std::move(error).with_hint(fmt::format("did you mean {}?", nearest));
  return error;
}

}  // namespace quernel::quant
