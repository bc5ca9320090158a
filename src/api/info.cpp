#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "base/json.h"
#include "base/nearest.h"
#include "pipeline/job.h"
#include "pipeline/version.h"
#include "quant/method.h"
#include "quernel/quernel.h"
#include "runtime/precision.h"
#include "sys/cpu.h"
#include "sys/thread_pool.h"
#include "tensor/linalg.h"
#include "transform/transform.h"

namespace quernel::api {

namespace {

void describe_options(const std::vector<quant::MethodOption>& options, Json& json, std::string& text) {
  json["options"] = Json::array();
  for (const quant::MethodOption& option : options) {
    json["options"].push_back(
        {{"name", option.name}, {"default", option.default_value}, {"choices", option.choices}, {"help", option.help}});
    fmt::format_to(std::back_inserter(text), "  --{:<18} {:<14} {} ({})\n", option.name, option.default_value,
                   option.help, option.choices);
  }
  text += "\n";
}

Json describe_method(const quant::Method& method, std::string& text) {
  fmt::format_to(std::back_inserter(text), "{}  {}\n  source    {}\n  bits      {}\n  formats   {}\n  {}\n",
                 method.name, method.summary, method.source, fmt::join(method.bits, ", "),
                 fmt::join(method.formats, ", "), method.needs_statistics ? "calibrated" : "needs no calibration");
  fmt::format_to(std::back_inserter(text), "  preprocess {} (default {})\n", fmt::join(method.combines_with, ", "),
                 method.default_preprocess);
  Json json{{"name", method.name},
            {"summary", method.summary},
            {"source", method.source},
            {"needs_calibration", method.needs_statistics},
            {"bits", method.bits},
            {"formats", method.formats},
            {"combines_with", method.combines_with},
            {"default_preprocess", method.default_preprocess}};
  describe_options(method.options, json, text);
  return json;
}

Json describe_transform(const transform::Transform& row, std::string& text) {
  fmt::format_to(std::back_inserter(text), "--preprocess {}  {}\n  source    {}\n  {}\n", row.name, row.summary,
                 row.source, row.needs_statistics() ? "calibrated" : "needs no calibration");
  if (!row.after.empty()) fmt::format_to(std::back_inserter(text), "  after     {}\n", fmt::join(row.after, ", "));
  Json json{{"name", row.name},
            {"summary", row.summary},
            {"source", row.source},
            {"needs_calibration", row.needs_statistics()},
            {"after", row.after}};
  describe_options(row.options, json, text);
  return json;
}

// Adds what is new, and who has it.
void add_options(const std::vector<quant::MethodOption>& options, const std::string& owner,
                 std::vector<MethodOption>& rows) {
  for (const quant::MethodOption& option : options) {
    auto row =
        std::find_if(rows.begin(), rows.end(), [&](const MethodOption& known) { return known.name == option.name; });
    if (row == rows.end())
      row = rows.insert(rows.end(), {option.name, option.default_value, option.choices, option.help, {}});
    row->methods.push_back(owner);
  }
}

}  // namespace

Report methods() {
  Json list = Json::array();
  Json preprocessing = Json::array();
  Report report;
  for (const quant::Method& method : quant::methods()) list.push_back(describe_method(method, report.text));
  for (const transform::Transform& row : transform::transforms())
    preprocessing.push_back(describe_transform(row, report.text));
  report.json = dump_json({{"methods", std::move(list)},
                           {"preprocess", std::move(preprocessing)},
                           {"preprocess_choices", preprocess_choices()}},
                          1);
  return report;
}

std::vector<std::string> preprocess_choices() {
  std::vector<std::string> choices = transform::preprocess_choices();
  choices.emplace_back(pipeline::kAuto);
  return choices;
}

std::vector<MethodOption> method_options() {
  std::vector<MethodOption> rows;
  for (const quant::Method& method : quant::methods()) add_options(method.options, method.name, rows);
  for (const transform::Transform& row : transform::transforms()) add_options(row.options, row.name, rows);
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
