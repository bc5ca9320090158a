#include "pipeline/step7_judge.h"

#include <fmt/format.h>

#include "eval/kld.h"
#include "model/tokenizer_source.h"
#include "runtime/float_model.h"
#include "sys/memory.h"

namespace quernel::pipeline {
namespace {

constexpr std::int64_t kAnswerTokens = 48;

Result<std::vector<eval::Answer>> answers_of(const model::Checkpoint& checkpoint, const text::Tokenizer& tokenizer,
                                             runtime::Precision precision, sys::ThreadPool& pool) {
  QUERNEL_TRY(const runtime::FloatModel model, runtime::FloatModel::load(checkpoint, pool, precision));
  return eval::answer_prompts(model, tokenizer, eval::sanity_prompts(), kAnswerTokens);
}

// Mean over the second halves of the held-out windows.
Result<double> divergence(const QuantizeJob& job, const model::Checkpoint& source, const model::Checkpoint& output,
                          const std::vector<std::vector<std::int32_t>>& windows, sys::ThreadPool& pool,
                          sys::ProgressSink& progress) {
  std::vector<std::int32_t> tokens;
  for (const auto& window : windows) tokens.insert(tokens.end(), window.begin(), window.end());
  eval::KldOptions options;
  options.context = static_cast<std::int64_t>(windows.front().size());
  QUERNEL_TRY(const runtime::FloatModel result, runtime::FloatModel::load(output, pool, job.precision, job.simulated));
  std::optional<runtime::FloatModel> reference;
  const auto load_reference = [&]() -> Result<const runtime::FloatModel*> {
    QUERNEL_TRY(reference, runtime::FloatModel::load(source, pool, job.precision));
    return static_cast<const runtime::FloatModel*>(&*reference);
  };
  QUERNEL_TRY(const eval::KldResult kld, eval::measure_kld(result, load_reference, tokens, options, pool, progress));
  return kld.mean;
}

}  // namespace

Result<JudgeReport> step7_judge(const QuantizeJob& job, const LoadedSource& source, const std::string& folder,
                                const std::optional<CalibrationSet>& calibration, sys::ThreadPool& pool,
                                sys::ProgressSink& progress) {
  JudgeReport report;
  const bool wants_divergence = job.max_kld > 0 || job.measure_divergence;
  const auto model_bytes = static_cast<std::uint64_t>(source.parameters) * sizeof(float);
  if (job.max_memory_bytes > 0 && model_bytes * (wants_divergence ? 2 : 1) > job.max_memory_bytes) {
    progress.on_warning("the result was not tried on prompts: the whole model does not fit under --max-memory");
    return report;
  }
  progress.on_note("trying source and result on prompts");
  QUERNEL_TRY(const model::Checkpoint output, model::Checkpoint::open(folder));
  auto tokenizer = model::load_tokenizer(source.checkpoint);
  if (!tokenizer.ok()) {
    progress.on_warning("the result was not tried on prompts: " + to_string(tokenizer.error()));
    return report;
  }
  sys::trim_free_memory();  // of calibration
  QUERNEL_TRY(const auto of_result, answers_of(output, *tokenizer, job.precision, pool));
  sys::trim_free_memory();  // of the result's dequantized weights
  QUERNEL_TRY(const auto of_source, answers_of(source.checkpoint, *tokenizer, job.precision, pool));
  report.sanity = eval::judge(of_source, of_result);
  if (!report.sanity->sane)
    progress.on_warning("the result does not answer as its source does: " + report.sanity->reason);
  if (wants_divergence && calibration.has_value() && !calibration->samples.held_out.empty()) {
    QUERNEL_TRY(report.kld, divergence(job, source.checkpoint, output, calibration->samples.held_out, pool, progress));
  }
  return report;
}

Status check_judgement(const QuantizeJob& job, const JudgeReport& report) {
  if (job.require_sane && (!report.sanity.has_value() || !report.sanity->sane)) {
    return Error(Fault::verification_failed, "the result is not sane")
        .in_file(job.output)
        .expect("answers like the source's", report.sanity.has_value() ? report.sanity->reason : "no answers were had");
  }
  if (job.max_kld > 0 && !(report.kld.has_value() && *report.kld <= job.max_kld)) {
    return Error(Fault::verification_failed, "the divergence on held-out text is above the limit")
        .in_file(job.output)
        .in_field("--max-kld")
        .expect(fmt::format("at most {}", job.max_kld),
                report.kld.has_value() ? fmt::format("{:.5f}", *report.kld) : "no held-out text to measure it on");
  }
  return {};
}

}  // namespace quernel::pipeline
