// quernel_rtn_export SOURCE OUT [bits group_size sym|asym scale_dtype formats [scattered]]
//
// Rounds a model to nearest and exports it: input for tests/peers that needs no calibration. Prints the checks of verify as JSON.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "export/round_model.h"
#include "export/verify.h"

namespace quernel {
namespace {

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t end = std::min(text.find(',', start), text.size());
    parts.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return parts;
}

Result<Json> run(const std::vector<std::string>& arguments) {
  const auto argument = [&](std::size_t index, const char* fallback) {
    return index < arguments.size() ? arguments[index] : std::string(fallback);
  };
  QUERNEL_TRY(const model::Checkpoint source, model::Checkpoint::open(argument(0, "")));
  const std::string out = argument(1, "");
  model::QuantizationInfo info = test::tiny_info(std::atoi(argument(2, "4").c_str()),
                                                 std::atoll(argument(3, "64").c_str()), argument(4, "asym") == "sym");
  info.scale_dtype = dtype_from_name(argument(5, "F16")).value_or(DType::f16);
  info.act_order = argument(7, "") == "scattered";
  info.static_groups = !info.act_order;
  exporting::ExportOptions options;
  options.formats = split(argument(6, "gptq,compressed-tensors"));
  options.existing = exporting::Existing::overwrite;
  QUERNEL_TRY(const model::QuantizedModel result, test::round_model(source, info));
  QUERNEL_TRY(const auto written,
              exporting::export_checkpoints(exporting::input_of(source, result), out, options, sys::null_progress()));
  Json report = Json::array();
  for (const exporting::ExportedCheckpoint& one : written) {
    QUERNEL_TRY(const exporting::Verification verified,
                exporting::verify_result(one.folder, exporting::input_of(source, result)));
    Json entry{{"folder", one.folder},
               {"tensor_bytes", one.tensor_bytes},
               {"notes", one.notes},
               {"passed", verified.passed()}};
    for (const exporting::Check& check : verified.checks) {
      entry["checks"][check.name] =
          fmt::format("{} {} {}", exporting::to_string(check.outcome), check.compared, check.detail);
    }
    entry["max_relative_error"] = verified.max_relative_error();
    report.push_back(std::move(entry));
  }
  return report;
}

}  // namespace
}  // namespace quernel

int main(int argc, char** argv) {
  const auto report = quernel::run({argv + 1, argv + argc});
  if (!report.ok()) {
    fmt::print(stderr, "{}\n", quernel::to_string(report.error()));
    return 1;
  }
  fmt::print("{}\n", quernel::dump_json(*report, 1));
  for (const auto& entry : *report) {
    if (!entry["passed"].get<bool>()) return 5;
  }
  return 0;
}
