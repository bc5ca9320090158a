#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "base/json.h"
#include "base/nearest.h"
#include "pipeline/version.h"
#include "quant/method.h"
#include "quernel/quernel.h"
#include "runtime/precision.h"
#include "sys/cpu.h"
#include "sys/thread_pool.h"
#include "tensor/linalg.h"

namespace quernel::api {

Report methods() {
  Json list = Json::array();
  Report report;
  for (const quant::Method& method : quant::methods()) {
    Json options = Json::array();
    fmt::format_to(std::back_inserter(report.text), "{}  {}\n  source    {}\n  bits      {}\n  formats   {}\n  {}\n",
                   method.name, method.summary, method.source, fmt::join(method.bits, ", "),
                   fmt::join(method.formats, ", "), method.needs_statistics ? "calibrated" : "needs no calibration");
    for (const quant::MethodOption& option : method.options) {
      options.push_back({{"name", option.name},
                         {"default", option.default_value},
                         {"choices", option.choices},
                         {"help", option.help}});
      fmt::format_to(std::back_inserter(report.text), "  --{:<18} {:<14} {} ({})\n", option.name, option.default_value,
                     option.help, option.choices);
    }
    report.text += "\n";
    list.push_back({{"name", method.name},
                    {"summary", method.summary},
                    {"source", method.source},
                    {"needs_calibration", method.needs_statistics},
                    {"bits", method.bits},
                    {"formats", method.formats},
                    {"combines_with", method.combines_with},
                    {"options", std::move(options)}});
  }
  report.json = dump_json({{"methods", std::move(list)}}, 1);
  return report;
}

std::vector<MethodOption> method_options() {
  std::vector<MethodOption> rows;
  for (const quant::Method& method : quant::methods())
    for (const quant::MethodOption& option : method.options) {
      auto row =
          std::find_if(rows.begin(), rows.end(), [&](const MethodOption& known) { return known.name == option.name; });
      if (row == rows.end())
        row = rows.insert(rows.end(), {option.name, option.default_value, option.choices, option.help, {}});
      row->methods.push_back(method.name);
    }
  return rows;
}

Report version() {
  const Json json{
      {"name", "quernel"},           {"version", pipeline::kVersion},
      {"commit", pipeline::kCommit}, {"cpu", sys::cpu_description()},
      {"blas", blas_description()},  {"bf16", runtime::effective(runtime::Precision::bf16) == runtime::Precision::bf16},
      {"cores", sys::usable_cores()}};
  Report report;
  report.json = dump_json(json, 1);
  report.text = fmt::format("quernel {} ({})\ncpu   {}\nblas  {}\nbf16  {}\ncores {}\n", pipeline::kVersion,
                            pipeline::kCommit, sys::cpu_description(), blas_description(),
                            json.at("bf16").get<bool>() ? "fast" : "not faster than fp32 here", sys::usable_cores());
  return report;
}

std::string nearest_word(const std::vector<std::string>& candidates, const std::string& typed) {
  return quernel::nearest_word(candidates, typed);
}

}  // namespace quernel::api
