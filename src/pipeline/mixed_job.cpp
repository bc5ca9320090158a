#include "pipeline/mixed_job.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/contains.h"
#include "export/verify.h"
#include "pipeline/block_errors.h"
#include "pipeline/block_mix.h"
#include "pipeline/job_files.h"
#include "pipeline/recording_sink.h"
#include "pipeline/report.h"
#include "pipeline/step1_load.h"
#include "pipeline/step2_sample.h"
#include "pipeline/step3_plan.h"
#include "pipeline/step5_write.h"
#include "pipeline/step6_verify.h"
#include "pipeline/step7_judge.h"
#include "pipeline/version.h"
#include "sys/clock.h"
#include "sys/json_file.h"
#include "sys/memory.h"

namespace quernel::pipeline {

namespace {

constexpr const char* kMethod = "mix";
constexpr const char* kReport = "/quernel/report.json";

// What the mix is made from, known before any candidate's output is opened.
struct Setting {
  LoadedSource source;
  CalibrationSet calibration;
  std::vector<JobPlan> plans;  // by part
  Json identity;
};

Result<Setting> set_up(const QuantizeJob& job, const std::vector<MixPart>& parts, sys::ProgressSink& progress) {
  QUERNEL_TRY(LoadedSource source, step1_load(job));
  QUERNEL_TRY(CalibrationSet calibration, step2_sample(job, source, progress));
  Setting setting{std::move(source), std::move(calibration), {}, {}};
  Json mixed = Json::object();
  for (const MixPart& part : parts) {
    QUERNEL_TRY(JobPlan plan, step3_plan(part.job, setting.source));
    mixed[part.name] = job_identity(part.job, setting.source, plan, setting.calibration);
    setting.plans.push_back(std::move(plan));
  }
  setting.identity = {{"quernel", kVersion}, {"source", to_json(setting.source.files)}, {"mix", std::move(mixed)}};
  return setting;
}

// The list of files is written last and covers the others.
Result<bool> is_whole(const std::string& output, const Json& identity) {
  if (!is_finished(output, identity)) return false;
  QUERNEL_TRY(const auto verified, exporting::verify_output(output));
  return std::all_of(verified.begin(), verified.end(), [](const auto& one) { return one.passed(); });
}

ModuleReport module_report(const Json& row) {
  ModuleReport report;
  report.name = row.at("name").get<std::string>();
  report.layer = row.at("layer").get<std::int64_t>();
  report.rows = row.at("shape").at(0).get<std::int64_t>();
  report.cols = row.at("shape").at(1).get<std::int64_t>();
  report.bits = row.at("bits").get<int>();
  report.group_size = row.at("group").get<std::int64_t>();
  report.relative_loss = row.at("loss").get<double>();
  report.relative_error = row.at("rel_err").get<double>();
  report.cosine = row.at("cos").get<double>();
  report.damp = row.at("damp").get<double>();
  report.dead_columns = row.at("dead_columns").get<std::int64_t>();
  if (!row.at("fallback").is_null()) report.fallback = row.at("fallback").get<std::string>();
  report.seconds = row.at("seconds").get<double>();
  return report;
}

class MixedJob {
 public:
  MixedJob(const QuantizeJob& job, const std::vector<MixPart>& parts, const Setting& setting,
           sys::ProgressSink& progress)
      : job_(job),
        parts_(parts),
        setting_(setting),
        sink_(progress),
        pool_(job.threads > 0 ? job.threads : sys::usable_cores()) {}

  Result<MixOutcome> run();

 private:
  Status open_parts();
  Result<Json> choose();
  [[nodiscard]] std::vector<std::string> taken_names() const;
  [[nodiscard]] model::QuantizationInfo info() const;
  [[nodiscard]] exporting::ExportOptions options() const;
  Status make(const BlockMix& mix);
  Status report(const std::vector<exporting::ExportedCheckpoint>& written);
  [[nodiscard]] Json report_with_parts() const;

  const QuantizeJob& job_;
  const std::vector<MixPart>& parts_;
  const Setting& setting_;
  RecordingSink sink_;
  sys::ThreadPool pool_;
  sys::Stopwatch watch_;
  std::vector<model::Checkpoint> opened_;  // by part: the first format
  std::vector<Json> reports_;              // by part
  std::vector<std::size_t> taken_;         // by layer
  Json blocks_;
  JobReport report_;
};

Result<MixOutcome> MixedJob::run() {
  QUERNEL_TRY_STATUS(open_parts());
  QUERNEL_TRY(blocks_, choose());
  const std::vector<std::string> names = taken_names();
  if (names.size() == 1)
    return MixOutcome{fmt::format("the blocks of {} have the least error in every layer", names.front()), blocks_};
  sink_.on_note(fmt::format("mixing blocks of {}", fmt::join(names, ", ")));
  std::vector<const model::Checkpoint*> checkpoints;
  for (const model::Checkpoint& checkpoint : opened_) checkpoints.push_back(&checkpoint);
  const Status made = make(BlockMix(setting_.source.checkpoint, checkpoints, taken_, info()));
  if (made.ok()) return MixOutcome{{}, blocks_};
  if (made.error().fault != Fault::unsupported) return made.error();
  return MixOutcome{to_string(made.error()), blocks_};
}

Status MixedJob::open_parts() {
  for (const MixPart& part : parts_) {
    const std::string folder = exporting::checkpoint_folders(part.job.output, part.job.formats).front();
    QUERNEL_TRY(model::Checkpoint checkpoint, model::Checkpoint::open(folder));
    QUERNEL_TRY(Json json, sys::read_json(part.job.output + kReport));
    opened_.push_back(std::move(checkpoint));
    reports_.push_back(std::move(json));
  }
  return {};
}

Result<Json> MixedJob::choose() {
  std::vector<const model::Checkpoint*> candidates;
  for (const model::Checkpoint& checkpoint : opened_) candidates.push_back(&checkpoint);
  QUERNEL_TRY(const BlockErrors errors, measure_block_errors({.source = setting_.source.checkpoint,
                                                              .candidates = candidates,
                                                              .windows = setting_.calibration.samples.held_out,
                                                              .simulated = job_.simulated,
                                                              .pool = pool_,
                                                              .progress = sink_}));
  taken_ = least_of(errors);
  Json blocks = Json::array();
  for (std::size_t layer = 0; layer < errors.size(); ++layer) {
    Json row{{"layer", layer}, {"errors", Json::object()}, {"taken", parts_[taken_[layer]].name}};
    for (std::size_t i = 0; i < parts_.size(); ++i) row["errors"][parts_[i].name] = errors[layer][i];
    blocks.push_back(std::move(row));
  }
  return blocks;
}

// Those of whom there is a block, in the order of the candidates.
std::vector<std::string> MixedJob::taken_names() const {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < parts_.size(); ++i)
    if (contains(taken_, i)) names.push_back(parts_[i].name);
  return names;
}

// Candidates share grid and solver; the name of the method is theirs where it is one.
model::QuantizationInfo MixedJob::info() const {
  model::QuantizationInfo info = setting_.plans.front().info;
  for (const JobPlan& plan : setting_.plans)
    if (plan.info.method != info.method) info.method = kMethod;
  return info;
}

exporting::ExportOptions MixedJob::options() const {
  exporting::ExportOptions options = export_options(job_);
  options.existing = exporting::Existing::overwrite;  // what is there is an unfinished mix
  const bool changed = std::any_of(taken_.begin(), taken_.end(),
                                   [&](std::size_t part) { return !parts_[part].job.transform.chain.empty(); });
  options.prepared_by = changed ? fmt::format("blocks of {}", fmt::join(taken_names(), ", ")) : "";
  return options;
}

Status MixedJob::make(const BlockMix& mix) {
  const exporting::ExportInput input = mix.input(module_names(setting_.source));
  QUERNEL_TRY(const auto written, exporting::export_checkpoints(input, job_.output, options(), sink_));
  const auto logits = [&](const std::string& folder) -> Result<LogitVerdict> {
    QUERNEL_TRY(const LogitDifference difference, mix.compare_logits(folder, pool_));
    return judge_logits(difference, folder);
  };
  QUERNEL_TRY(report_.verify, verify_written(input, written, logits, sink_));
  QUERNEL_TRY(report_.judge,
              step7_judge(job_, setting_.source, written.front().folder, setting_.calibration, pool_, sink_));
  return report(written);
}

Status MixedJob::report(const std::vector<exporting::ExportedCheckpoint>& written) {
  report_.output = job_.output;
  report_.formats = job_.formats;
  report_.calibration = setting_.calibration.description;
  report_.warnings = sink_.warnings();
  fill_totals(setting_.source, written, report_);
  for (std::size_t layer = 0; layer < taken_.size(); ++layer)
    for (const Json& row : reports_[taken_[layer]].at("layers"))
      if (row.at("layer") == layer) report_.modules.push_back(module_report(row));
  report_.seconds = watch_.seconds();
  report_.peak_resident_bytes = sys::peak_resident_bytes();
  return write_reports(job_.output, written, report_with_parts(), report_, setting_.identity);
}

// Rows of modules as their candidates reported them.
Json MixedJob::report_with_parts() const {
  Json json = report_json(job_, setting_.source, setting_.plans.front(), report_);
  json["method"] = {{"name", kMethod}, {"candidates", Json::object()}};
  for (std::size_t i = 0; i < parts_.size(); ++i)
    json["method"]["candidates"][parts_[i].name] = reports_[i].at("method");
  json["blocks"] = blocks_;
  for (Json& row : json["layers"]) {
    const std::size_t part = taken_[row.at("layer").get<std::size_t>()];
    row["method"] = setting_.plans[part].method->name;
    row["candidate"] = parts_[part].name;
  }
  return json;
}

}  // namespace

Result<MixOutcome> run_mixed_job(const QuantizeJob& job, const std::vector<MixPart>& parts,
                                 sys::ProgressSink& progress) {
  QUERNEL_CHECK(parts.size() >= 2, "a mix of {}", parts.size());
  QUERNEL_TRY(const Setting setting, set_up(job, parts, progress));
  if (job.resume) {
    QUERNEL_TRY(const bool whole, is_whole(job.output, setting.identity));
    if (whole) {
      QUERNEL_TRY(const Json report, sys::read_json(job.output + kReport));
      return MixOutcome{{}, report.at("blocks")};
    }
  }
  return MixedJob(job, parts, setting, progress).run();
}

Result<bool> is_finished_mix(const QuantizeJob& job, const std::vector<MixPart>& parts) {
  QUERNEL_TRY(const Setting setting, set_up(job, parts, sys::null_progress()));
  return is_whole(job.output, setting.identity);
}

}  // namespace quernel::pipeline
