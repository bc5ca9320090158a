#include "pipeline/best_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <utility>
#include <vector>

#include "base/contains.h"
#include "export/output_folder.h"
#include "pipeline/mixed_job.h"
#include "pipeline/step7_judge.h"
#include "quant/method.h"
#include "sys/atomic_file.h"
#include "sys/errno_error.h"
#include "sys/json_file.h"
#include "sys/memory.h"
#include "transform/transform.h"

namespace quernel::pipeline {
namespace {

namespace fs = std::filesystem;

constexpr const char* kReport = "/quernel/report.json";
constexpr const char* kMix = "mix";  // no method has this name

struct Candidate {
  std::string name;  // "awq+gptq"
  QuantizeJob job;
  Json row;  // of the report: name, then kld, sane, seconds, bpw_effective; or refused
};

// Methods without data never come near those with it: they are not tried.
std::vector<const quant::Method*> methods_to_try(const QuantizeJob& job) {
  std::vector<const quant::Method*> tried;
  for (const quant::Method& method : quant::methods()) {
    const bool fits = std::all_of(job.formats.begin(), job.formats.end(),
                                  [&](const std::string& format) { return contains(method.formats, format); });
    const bool wanted = job.method == kAuto ? method.needs_statistics : method.name == job.method;
    const bool has_bits = contains(method.bits, job.grid.bits);
    if (wanted && fits && has_bits) tried.push_back(&method);
  }
  return tried;
}

// Chains for this method. SmoothQuant is for rounded activations, AWQ's scales are for exact ones.
std::vector<std::vector<std::string>> chains_to_try(const QuantizeJob& job, const quant::Method& method) {
  if (job.transform.chain != std::vector<std::string>{kAuto}) return {job.transform.chain};
  const bool rounded = job.simulated.activation_bits < 16;
  std::vector<std::vector<std::string>> chains;
  if (method.default_preprocess == "none") chains.emplace_back();
  if (!rounded || method.default_preprocess == "awq") chains.push_back({"awq"});
  if (rounded) chains.push_back({"smoothquant"});
  chains.push_back({"quarot"});
  if (rounded) chains.push_back({"smoothquant", "quarot"});
  std::erase_if(chains, [&](const std::vector<std::string>& chain) {
    return !std::all_of(chain.begin(), chain.end(),
                        [&](const std::string& name) { return contains(method.combines_with, name); });
  });
  return chains;
}

std::string folder_of(const QuantizeJob& job) { return job.work_dir.empty() ? job.output + ".auto" : job.work_dir; }

// A job of its own, judged but not by the user's limits, which are for what is kept.
Candidate make_candidate(const QuantizeJob& job, const std::string& name) {
  Candidate candidate{name, job, {{"name", name}}};
  candidate.job.output = folder_of(job) + "/" + name;
  candidate.job.work_dir.clear();
  candidate.job.measure_divergence = true;
  candidate.job.max_kld = 0.0;
  candidate.job.require_sane = false;
  return candidate;
}

std::vector<Candidate> candidates_of(const QuantizeJob& job) {
  std::vector<Candidate> candidates;
  for (const quant::Method* method : methods_to_try(job)) {
    for (const std::vector<std::string>& chain : chains_to_try(job, *method)) {
      const std::string before = chain.empty() ? "" : transform::to_string(chain) + "+";
      Candidate& candidate = candidates.emplace_back(make_candidate(job, before + method->name));
      candidate.job.method = method->name;
      candidate.job.transform.chain = chain;
    }
  }
  return candidates;
}

// The row of a candidate that has run, from its own report.
Status read_figures(Candidate& candidate, sys::ProgressSink& progress) {
  QUERNEL_TRY(const Json report, sys::read_json(candidate.job.output + kReport));
  const Json sanity = report.value("sanity", Json::object());
  if (!sanity.contains("kld"))
    return Error(Fault::invalid_argument, "there is no held-out text to choose by")
        .in_field("--method")
        .with_hint("give more calibration text, or name a method");
  candidate.row["kld"] = sanity.at("kld");
  candidate.row["sane"] = sanity.value("sane", Json());
  candidate.row["seconds"] = report.at("totals").at("seconds");
  candidate.row["bpw_effective"] = report.at("totals").at("bpw_effective");
  progress.on_note(fmt::format("{}: divergence {:.4f}", candidate.name, sanity.at("kld").get<double>()));
  return {};
}

// Runs it or finds it finished; a combination that cannot be is a row that says so.
Status measure(Candidate& candidate, sys::ProgressSink& progress) {
  const auto outcome = run_job(candidate.job, progress);
  sys::trim_free_memory();
  if (!outcome.ok()) {
    if (outcome.error().fault != Fault::unsupported) return outcome.error();
    candidate.row["refused"] = to_string(outcome.error());
    progress.on_note(fmt::format("{}: not possible: {}", candidate.name, outcome.error().message));
    return {};
  }
  return read_figures(candidate, progress);
}

// Candidates whose blocks may stand among each other's.
std::vector<MixPart> parts_of(const std::vector<Candidate>& candidates) {
  std::vector<MixPart> parts;
  for (const Candidate& candidate : candidates)
    if (candidate.row.contains("kld") && transform::keeps_stream(candidate.job.transform.chain))
      parts.push_back({candidate.name, candidate.job});
  return parts;
}

// Mixes what can be mixed. blocks: what was measured of them; a mix that cannot be is a row that says so.
Status measure_mix(Candidate& mix, const std::vector<MixPart>& parts, Json& blocks, sys::ProgressSink& progress) {
  MixOutcome outcome{"fewer than two candidates keep the residual stream as it is", Json::array()};
  if (parts.size() >= 2) {
    QUERNEL_TRY(outcome, run_mixed_job(mix.job, parts, progress));
    sys::trim_free_memory();
  }
  blocks = std::move(outcome.blocks);
  if (outcome.refused.empty()) return read_figures(mix, progress);
  mix.row["refused"] = outcome.refused;
  progress.on_note(fmt::format("no mix: {}", outcome.refused));
  return {};
}

// The least divergence; insane ones only where none is sane.
const Candidate* best_of(const std::vector<Candidate>& candidates) {
  const Candidate* best = nullptr;
  const auto key = [](const Candidate& candidate) {
    const bool insane = candidate.row.value("sane", Json()) == Json(false);
    return std::pair(insane, candidate.row.at("kld").get<double>());
  };
  for (const Candidate& candidate : candidates) {
    if (!candidate.row.contains("kld")) continue;
    if (best == nullptr || key(candidate) < key(*best)) best = &candidate;
  }
  return best;
}

Json comparison(const std::vector<Candidate>& candidates, const Candidate& best, const Json& blocks) {
  Json rows = Json::array();
  for (const Candidate& candidate : candidates) rows.push_back(candidate.row);
  return {{"winner", best.name}, {"candidates", std::move(rows)}, {"blocks", blocks}};
}

std::string comparison_text(const Json& compared) {
  std::string text = "  compared    by divergence on held-out calibration text\n";
  for (const Json& row : compared.at("candidates")) {
    const std::string name = row.at("name").get<std::string>();
    const std::string reason = name == kMix ? "none: " + row.value("refused", "") : "not possible";
    const std::string figure = row.contains("kld") ? fmt::format("{:.4f}", row.at("kld").get<double>()) : reason;
    fmt::format_to(std::back_inserter(text), "    {:<26}{}{}\n", name, figure,
                   row.at("name") == compared.at("winner") ? "  <- kept" : "");
  }
  return text;
}

// The winner's folder becomes the output; what lies there is ours (checked before the work began).
Status move_to_output(const QuantizeJob& job, const Candidate& best) {
  std::error_code failure;
  fs::remove_all(job.output, failure);
  if (!failure) fs::rename(best.job.output, job.output, failure);
  if (failure) return sys::system_error("cannot move the best candidate here", job.output, failure.value());
  if (!job.keep_work_dir) fs::remove_all(folder_of(job), failure);  // losers: what cannot be removed does no harm
  return {};
}

Result<JobOutcome> keep_best(const QuantizeJob& job, const std::vector<Candidate>& candidates, const Candidate& best,
                             const Json& blocks) {
  const std::string path = best.job.output + kReport;
  QUERNEL_TRY(Json report, sys::read_json(path));
  report["auto"] = comparison(candidates, best, blocks);
  QUERNEL_TRY_STATUS(sys::write_file(path, dump_json(report, 1) + "\n"));
  QUERNEL_TRY_STATUS(exporting::write_checksums(best.job.output));
  QUERNEL_TRY_STATUS(move_to_output(job, best));
  JobOutcome outcome;
  outcome.report.output = job.output;
  outcome.json = report;
  outcome.text = fmt::format("{}\n{}", job.output, comparison_text(report.at("auto")));
  const Json& sane = best.row.at("sane");
  if (job.require_sane && sane == Json(false))
    return Error(Fault::verification_failed, "no candidate answers as the source does").in_file(job.output);
  const auto kld = best.row.at("kld").get<double>();
  if (job.max_kld > 0 && !(kld <= job.max_kld))
    return Error(Fault::verification_failed, "the best divergence on held-out text is above the limit")
        .in_file(job.output)
        .in_field("--max-kld")
        .expect(fmt::format("at most {}", job.max_kld), fmt::format("{:.5f}", kld));
  return outcome;
}

// A mix in the job's output, made of the candidates that its report says were measured.
bool is_mix_of(const Json& compared, const QuantizeJob& job, std::vector<Candidate>& candidates) {
  for (Candidate& candidate : candidates)
    for (const Json& row : compared.value("candidates", Json::array()))
      if (row.value("name", "") == candidate.name) candidate.row = row;
  Candidate mix = make_candidate(job, kMix);
  mix.job.output = job.output;
  const auto whole = is_finished_mix(mix.job, parts_of(candidates));
  return whole.ok() && *whole;
}

// An output that an earlier run of this very choice finished.
std::optional<JobOutcome> finished(const QuantizeJob& job, std::vector<Candidate> candidates,
                                   sys::ProgressSink& progress) {
  const auto report = sys::read_json(job.output + kReport);
  if (!job.resume || !report.ok() || !report->is_object() || !report->contains("auto")) return std::nullopt;
  if (report->at("auto").value("winner", "") == kMix && is_mix_of(report->at("auto"), job, candidates))
    return already_done(job.output);
  for (Candidate& candidate : candidates) {
    if (report->at("auto").value("winner", "") != candidate.name) continue;
    candidate.job.output = job.output;
    auto outcome = run_job(candidate.job, progress);
    if (outcome.ok() && outcome->report.already_done) return std::move(outcome).value();
  }
  return std::nullopt;
}

}  // namespace

bool asks_for_best(const QuantizeJob& job) {
  return job.method == kAuto || job.transform.chain == std::vector<std::string>{kAuto};
}

Result<JobOutcome> run_best_job(const QuantizeJob& job, sys::ProgressSink& progress) {
  std::vector<Candidate> candidates = candidates_of(job);
  if (candidates.empty())
    return Error(Fault::unsupported, "no method fits these bits and formats").in_field("--method");
  if (auto outcome = finished(job, candidates, progress)) return std::move(*outcome);
  const auto existing = job.overwrite ? exporting::Existing::overwrite : exporting::Existing::refuse;
  QUERNEL_TRY_STATUS(exporting::check_output(job.output, job.source, existing));
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    progress.on_note(fmt::format("candidate {} of {}: {}", i + 1, candidates.size(), candidates[i].name));
    QUERNEL_TRY_STATUS(measure(candidates[i], progress));
  }
  Json blocks;
  const std::vector<MixPart> parts = parts_of(candidates);
  QUERNEL_TRY_STATUS(measure_mix(candidates.emplace_back(make_candidate(job, kMix)), parts, blocks, progress));
  const Candidate* best = best_of(candidates);
  if (best != nullptr) return keep_best(job, candidates, *best, blocks);
  return Error(Fault::unsupported, "none of the candidates can be")
      .expect("one that can", candidates.front().row.at("refused"));
}

}  // namespace quernel::pipeline
