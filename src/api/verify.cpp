#include "export/verify.h"

#include <fmt/format.h>

#include <iterator>
#include <memory>
#include <optional>

#include "api/failure.h"
#include "api/loaded_model.h"
#include "api/observer_sink.h"
#include "base/json.h"
#include "pipeline/fingerprint.h"
#include "pipeline/step6_verify.h"
#include "quernel/quernel.h"
#include "sys/json_file.h"

namespace quernel::api {

namespace {

void describe(const exporting::Verification& verification, Json& json, std::string& text) {
  auto out = std::back_inserter(text);
  fmt::format_to(out, "{}\n", verification.folder);
  Json checks = Json::array();
  for (const exporting::Check& check : verification.checks) {
    fmt::format_to(out, "  {:<10} {:<8} {:>6}  {}\n", check.name, to_string(check.outcome), check.compared,
                   check.detail);
    checks.push_back({{"name", check.name},
                      {"outcome", to_string(check.outcome)},
                      {"compared", check.compared},
                      {"detail", check.detail}});
  }
  json = {{"folder", verification.folder}, {"passed", verification.passed()}, {"checks", std::move(checks)}};
  if (!verification.closeness.empty()) json["max_relative_error"] = verification.max_relative_error();
}

// The written codes themselves stand for what was computed: their hashes were compared with the manifest before.
pipeline::LogitVerdict logits_against(const model::Checkpoint& source, const std::string& folder,
                                      sys::ThreadPool& pool) {
  const auto output = std::make_shared<model::Checkpoint>(take(model::Checkpoint::open(folder)));
  const auto read = [output](const std::string& module) -> Result<exporting::MatrixPointer> {
    QUERNEL_TRY(codec::IntegerMatrix matrix, output->read_quantized(module));
    return std::make_shared<const codec::IntegerMatrix>(std::move(matrix));
  };
  return take(pipeline::check_logits(source, folder, read, pool));
}

void check_same_files(const std::string& output, const model::Checkpoint& source) {
  const Json job = take(sys::read_json(output + "/quernel/job.json"));
  const Json given = pipeline::to_json(take(pipeline::identify_files(source.files())));
  const auto difference = pipeline::first_difference(job.value("source", Json::array()), given);
  if (!difference.has_value()) return;
  throw Failure(FailureKind::verification, "the checkpoint was made from another source: its job noted " +
                                               difference->stored + ", " + source.path() + " has " +
                                               difference->wanted);
}

}  // namespace

Report verify(const std::string& output, const std::string& against, const Observer& observer) {
  ObserverSink sink(observer);
  std::optional<model::Checkpoint> source;
  if (!against.empty()) source = take(model::Checkpoint::open(against));
  const auto verifications = take(exporting::verify_output(output, source.has_value() ? &*source : nullptr));
  const auto pool = make_pool(0);
  Report report;
  Json list = Json::array();
  bool passed = true;
  for (const exporting::Verification& verification : verifications) {
    Json& json = list.emplace_back();
    describe(verification, json, report.text);
    passed = passed && verification.passed();
    if (!source.has_value() || !verification.passed()) continue;
    if (verification.find("reopen") == nullptr)
      continue;  // the list of files of a folder that holds several checkpoints
    const exporting::Check* dense = verification.find("dense");
    if (dense == nullptr || dense->outcome != exporting::Outcome::passed) {
      // Prepared by a transform: only the job itself saw the weights that were quantized. It noted the files they came from.
      check_same_files(output, *source);
      report.text += "  source     passed           the files that the job was given\n";
      continue;
    }
    const pipeline::LogitVerdict verdict = logits_against(*source, verification.folder, *pool);
    json["logits_max_abs"] = verdict.max_abs;
    json["logits_tolerance"] = verdict.tolerance;
    fmt::format_to(std::back_inserter(report.text),
                   "  {:<10} {:<8} {:>6}  within {:.2e} of the source with these weights\n", "logits", "passed", "",
                   verdict.max_abs);
  }
  report.json = dump_json({{"passed", passed}, {"checkpoints", std::move(list)}}, 1);
  report.text += passed ? "verified\n" : "NOT verified\n";
  if (!passed) throw Failure(FailureKind::verification, "the checkpoint is damaged\n" + report.text);
  return report;
}

}  // namespace quernel::api
