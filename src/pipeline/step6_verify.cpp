#include "pipeline/step6_verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "codec/integer_matrix.h"
#include "pipeline/step5_write.h"

namespace quernel::pipeline {

namespace {

Status first_failure(const exporting::Verification& verification) {
  for (const exporting::Check& check : verification.checks)
    if (check.outcome == exporting::Outcome::failed)
      return Error(Fault::verification_failed, fmt::format("check '{}' failed: {}", check.name, check.detail))
          .in_file(verification.folder);
  return {};
}

std::int64_t compared(const exporting::Verification& verification, const char* name) {
  const exporting::Check* check = verification.find(name);
  return check == nullptr ? 0 : check->compared;
}

}  // namespace

Result<LogitVerdict> judge_logits(const LogitDifference& difference, const std::string& folder) {
  const LogitVerdict verdict{difference.max_abs, 0.0};
  if (!(verdict.max_abs <= verdict.tolerance))
    return Error(Fault::verification_failed, "logits of the written checkpoint are not those that were computed")
        .in_file(folder)
        .expect(fmt::format("within {:.3g}", verdict.tolerance), fmt::format("{:.3g}", verdict.max_abs));
  return verdict;
}

Result<LogitVerdict> check_logits(const model::Checkpoint& source, const std::string& folder,
                                  const exporting::MatrixReader& read, sys::ThreadPool& pool) {
  QUERNEL_TRY(const model::Checkpoint output, model::Checkpoint::open(folder));
  const auto put_solved = [&](runtime::LayerWeights& weights) -> Status {
    for (const model::LinearModule& module : model::linear_modules(source.config(), weights.index)) {
      if (!output.is_quantized(module.name)) continue;
      QUERNEL_TRY(const exporting::MatrixPointer matrix, read(module.name));
      weights.replace(module, codec::dequantize(*matrix));
    }
    return {};
  };
  // Dense tensors of a GGUF were rounded once on the way out, which the exporter's own check holds against the source; here they are
  // taken as written, so that the logits must agree to the last bit for every source.
  const bool rounded = source.kind() == model::CheckpointKind::gguf;
  QUERNEL_TRY(const LogitDifference difference, compare_logits(rounded ? output : source, put_solved, output, pool));
  return judge_logits(difference, folder);
}

Result<VerifyReport> verify_written(const exporting::ExportInput& expected,
                                    const std::vector<exporting::ExportedCheckpoint>& written, const LogitJudge& logits,
                                    sys::ProgressSink& progress) {
  VerifyReport report;
  for (const exporting::ExportedCheckpoint& checkpoint : written) {
    progress.on_note(fmt::format("verify {}", checkpoint.folder));
    QUERNEL_TRY(const exporting::Verification verification, exporting::verify_result(checkpoint.folder, expected));
    QUERNEL_TRY_STATUS(first_failure(verification));
    report.modules_equal += compared(verification, "modules");
    report.tensors_equal += compared(verification, "dense");
    QUERNEL_TRY(const LogitVerdict verdict, logits(checkpoint.folder));
    report.logits_max_abs = std::max(report.logits_max_abs, verdict.max_abs);
    report.logits_tolerance = verdict.tolerance;
  }
  report.passed = true;
  return report;
}

Result<VerifyReport> step6_verify(const LoadedSource& source, const JobPlan& plan, const ModuleStore& store,
                                  const std::vector<exporting::ExportedCheckpoint>& written, sys::ThreadPool& pool,
                                  sys::ProgressSink& progress) {
  exporting::ExportInput expected;
  expected.source = &source.checkpoint;
  expected.info = plan.info;
  expected.modules = module_names(source);
  expected.read = store_reader(store);
  const auto logits = [&](const std::string& folder) {
    return check_logits(source.checkpoint, folder, expected.read, pool);
  };
  return verify_written(expected, written, logits, progress);
}

}  // namespace quernel::pipeline
