#include "pipeline/run_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "pipeline/job_files.h"
#include "pipeline/module_store.h"
#include "pipeline/recording_sink.h"
#include "pipeline/report.h"
#include "pipeline/step1_load.h"
#include "pipeline/step2_sample.h"
#include "pipeline/step3_plan.h"
#include "pipeline/step3b_prepare.h"
#include "pipeline/step4_quantize.h"
#include "pipeline/step5_write.h"
#include "pipeline/step6_verify.h"
#include "pipeline/step7_judge.h"
#include "pipeline/work_dir.h"
#include "sys/atomic_file.h"
#include "sys/clock.h"
#include "transform/transform.h"

namespace quernel::pipeline {

namespace {

// What the job will write at most: the store's bytes and each format's, before the long work begins.
Status check_disk(const QuantizeJob& job, const LoadedSource& source, const std::string& work_path) {
  const auto weights = static_cast<std::uint64_t>(source.quantized_parameters);
  const auto others = static_cast<std::uint64_t>(source.parameters - source.quantized_parameters);
  const std::uint64_t store = weights * 5 / 4;  // a byte a code, scales and zero points beside it
  const std::uint64_t format = weights * static_cast<std::uint64_t>(job.grid.bits + 1) / 8 + others * 4;
  const std::uint64_t prepared = job.transform.chain.empty() ? 0 : (weights + 2 * others) * 4;
  const std::uint64_t wanted = store + format * job.formats.size() + prepared;
  const std::uint64_t free = std::min(sys::free_disk_bytes(work_path), sys::free_disk_bytes(job.output));
  if (free == 0 || free >= wanted) return {};
  return Error(Fault::out_of_disk, "the job would not fit on the disk")
      .in_file(job.output)
      .expect(sys::format_bytes(wanted) + " free", sys::format_bytes(free));
}

std::string plan_note(const QuantizeJob& job, const LoadedSource& source, const JobPlan& plan) {
  const std::string before = plan.transform.chain.empty() ? "" : transform::to_string(plan.transform.chain) + " + ";
  return fmt::format("{} -> {}: {}{} {} bit, group {}, {}; {} of {} M parameters; {}", job.source, job.output, before,
                     plan.method->name, plan.grid.bits, plan.grid.group_size, quant::to_string(plan.grid.symmetry),
                     source.quantized_parameters / 1'000'000, source.parameters / 1'000'000, plan.numerics);
}

}  // namespace

JobOutcome already_done(const std::string& output) {
  JobOutcome outcome;
  outcome.report.output = output;
  outcome.report.already_done = true;
  outcome.json = {{"output", output}, {"already_done", true}};
  outcome.text = report_text(outcome.report);
  return outcome;
}

Result<JobOutcome> run_job(const QuantizeJob& job, sys::ProgressSink& progress) {
  const sys::Stopwatch watch;
  RecordingSink sink(progress);
  QUERNEL_TRY(const LoadedSource source, step1_load(job));
  QUERNEL_TRY(const JobPlan plan, step3_plan(job, source));
  std::optional<CalibrationSet> calibration;
  if (needs_calibration(plan)) {
    QUERNEL_TRY(calibration, step2_sample(job, source, sink));
  }
  const Json identity = job_identity(job, source, plan, calibration);
  JobOutcome outcome;
  JobReport& report = outcome.report;
  report.output = job.output;
  report.formats = job.formats;
  const std::string work_path = job.work_dir.empty() ? job.output + ".job" : job.work_dir;
  WorkDir::remove_leaving(work_path);
  if (job.resume && !WorkDir::exists(work_path) && is_finished(job.output, identity)) return already_done(job.output);
  QUERNEL_TRY_STATUS(
      exporting::check_export(source.checkpoint, plan.info, module_names(source), job.output, export_options(job)));
  QUERNEL_TRY_STATUS(check_disk(job, source, work_path));
  sink.on_note(plan_note(job, source, plan));

  const Leftover leftover = job.resume ? Leftover::resume : job.overwrite ? Leftover::discard : Leftover::refuse;
  QUERNEL_TRY(WorkDir work, WorkDir::open(work_path, identity, leftover));
  const ModuleStore store(work.layers_folder());
  sys::ThreadPool pool(job.threads > 0 ? job.threads : sys::usable_cores());
  sys::MemoryBudget budget(job.max_memory_bytes);
  const CalibrationSet* const calibration_set = calibration.has_value() ? &*calibration : nullptr;
  QUERNEL_TRY(const std::optional<Prepared> prepared, step3b_prepare({.source = source,
                                                                      .plan = plan,
                                                                      .calibration = calibration_set,
                                                                      .precision = job.precision,
                                                                      .identity = identity,
                                                                      .work = work,
                                                                      .pool = pool,
                                                                      .budget = budget,
                                                                      .progress = sink}));
  // From here on the prepared checkpoint is the source; `source` keeps what the user gave, for names and sizes.
  const LoadedSource& prepared_source = prepared.has_value() ? prepared->source : source;
  if (prepared.has_value()) report.prepared = prepared->report;
  const CalibrationSet* const solver_calibration = plan.method->needs_statistics ? calibration_set : nullptr;
  QUERNEL_TRY(report.modules, step4_quantize({.job = job,
                                              .source = prepared_source,
                                              .plan = plan,
                                              .calibration = solver_calibration,
                                              .work = work,
                                              .store = store,
                                              .pool = pool,
                                              .budget = budget,
                                              .progress = sink}));
  QUERNEL_TRY(const auto written, step5_write(job, prepared_source, plan, store, sink));
  QUERNEL_TRY(report.verify, step6_verify(prepared_source, plan, store, written, pool, sink));
  std::optional<CalibrationSet> text;  // to judge on, for a method that needs none
  if ((job.max_kld > 0 || job.measure_divergence) && !calibration.has_value()) {
    QUERNEL_TRY(text, step2_sample(job, source, sink));
  }
  QUERNEL_TRY(report.judge, step7_judge(job, source, written.front().folder,
                                        calibration.has_value() ? calibration : text, pool, sink));

  fill_totals(source, written, report);
  if (calibration.has_value()) report.calibration = calibration->description;
  report.warnings = sink.warnings();
  report.seconds = watch.seconds();
  report.peak_resident_bytes = sys::peak_resident_bytes();
  outcome.json = report_json(job, source, plan, report);
  outcome.text = report_text(report);
  QUERNEL_TRY_STATUS(write_reports(job.output, written, outcome.json, report, identity));
  if (!job.keep_work_dir) QUERNEL_TRY_STATUS(work.remove());
  QUERNEL_TRY_STATUS(check_judgement(job, report.judge));
  return outcome;
}

}  // namespace quernel::pipeline
