// One row a method. The command line, the reports and the bindings read these rows; nothing else is edited for a new
// one.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "quant/methods.h"
#include "quant/options.h"

namespace quernel::quant {
namespace {

std::vector<MethodOption> joined(std::vector<MethodOption> first, const std::vector<MethodOption>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

std::vector<Method> make_methods() {
  const std::vector<std::string> integer_formats = {"gptq", "compressed-tensors"};
  std::vector<Method> rows;
  rows.push_back({.name = "gptq",
                  .summary = "Rounds column by column and lets the columns still open make up for each error",
                  .source = "Frantar et al., GPTQ, ICLR 2023",
                  .needs_statistics = true,
                  .bits = {2, 3, 4, 8},
                  .formats = integer_formats,
                  .combines_with = {},
                  .options = joined(grid_options(), solver_options()),
                  .run = run_gptq});
  rows.push_back(
      {.name = "rtn",
       .summary = "Rounds each weight to the nearest value of its group's grid",
       .source = "plain rounding; with statistics, scales by error weighted with the mean square of each input",
       .needs_statistics = false,
       .bits = {2, 3, 4, 8},
       .formats = integer_formats,
       .combines_with = {},
       .options = grid_options(),
       .run = run_rtn});
  return rows;
}

// Levenshtein distance.
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::span<const Method> methods() {
  static const std::vector<Method> kMethods = make_methods();
  return kMethods;
}

Result<const Method*> find_method(const std::string& name) {
  std::string known;
  const Method* nearest = nullptr;
  std::size_t least = std::numeric_limits<std::size_t>::max();
  for (const Method& method : methods()) {
    if (method.name == name) return &method;
    known += (known.empty() ? "" : ", ") + method.name;
    const std::size_t steps = distance(method.name, name);
    if (steps >= least) continue;
    least = steps;
    nearest = &method;
  }
  Error error = Error(Fault::unsupported, "no such quantization method").expect(known, name);
  if (least <= 2) return std::move(error).with_hint(fmt::format("did you mean {}?", nearest->name));
  return error;
}

}  // namespace quernel::quant
