#include "pipeline/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <iterator>

#include "pipeline/version.h"
#include "sys/clock.h"
#include "sys/cpu.h"
#include "sys/memory.h"
#include "transform/transform.h"

namespace quernel::pipeline {

namespace {

// 20 log10 of signal over error; a module without error has no finite value and is left out.
Json snr_db(double relative_error) {
  return relative_error > 0 ? Json(-20.0 * std::log10(relative_error)) : Json(nullptr);
}

Json module_json(const ModuleReport& module, const JobPlan& plan) {
  Json json{{"name", module.name},
            {"module", module.name.substr(module.name.rfind('.') + 1)},
            {"layer", module.layer},
            {"shape", {module.rows, module.cols}},
            {"type", fmt::format("int{}", module.bits)},
            {"bits", module.bits},
            {"group", module.group_size},
            {"method", plan.method->name},
            {"loss", module.relative_loss},
            {"rel_err", module.relative_error},
            {"cos", module.cosine},
            {"snr_db", snr_db(module.relative_error)},
            {"damp", module.damp},
            {"dead_columns", module.dead_columns},
            {"fallback", module.fallback.has_value() ? Json(*module.fallback) : Json(nullptr)},
            {"seconds", module.seconds}};
  return json;
}

Json method_json(const QuantizeJob& job, const JobPlan& plan) {
  Json json{{"name", plan.method->name}};
  json.update(method_options(plan));
  json["preprocess"] = {{"name", transform::to_string(plan.transform.chain)},
                        {"options", transform::chain_options(plan.transform)}};
  json["ignore"] = job.ignore;
  json["formats"] = job.formats;
  if (job.simulated.any()) json["simulated_while_calibrating"] = runtime::to_string(job.simulated);
  return json;
}

Json prepared_json(const PrepareReport& report) {
  Json sites = Json::array();
  for (const PreparedSite& site : report.sites)
    sites.push_back({{"site", site.site}, {"layers_scaled", site.scaled}, {"error_ratio", site.error_ratio}});
  return {{"logits_max_abs", report.logits_max_abs},
          {"logits_max_abs_rounded", report.logits_max_abs_rounded},
          {"seconds", report.seconds},
          {"resumed", report.resumed},
          {"sites", std::move(sites)}};
}

struct LossSummary {
  double mean = 0.0;
  double worst = 0.0;
  std::string worst_name;
  std::int64_t fallbacks = 0;
};

LossSummary summarize(const std::vector<ModuleReport>& modules) {
  LossSummary summary;
  for (const ModuleReport& module : modules) {
    summary.mean += module.relative_loss / static_cast<double>(modules.size());
    summary.fallbacks += module.fallback.has_value() ? 1 : 0;
    if (module.relative_loss < summary.worst) continue;
    summary.worst = module.relative_loss;
    summary.worst_name = module.name;
  }
  return summary;
}

Json faults_json(const eval::Faults& faults) {
  return {{"loop_share", faults.loop_share},
          {"early_end_share", faults.early_end_share},
          {"broken_utf8_share", faults.broken_share}};
}

Json judge_json(const JudgeReport& judge) {
  Json json = Json::object();
  if (judge.sanity.has_value()) {
    json["sane"] = judge.sanity->sane;
    if (!judge.sanity->sane) json["reason"] = judge.sanity->reason;
    json["source"] = faults_json(judge.sanity->source);
    json["result"] = faults_json(judge.sanity->result);
    json["same_first_tokens"] = judge.sanity->same_first_tokens;
  }
  if (judge.kld.has_value()) json["kld"] = *judge.kld;
  return json;
}

}  // namespace

Json report_json(const QuantizeJob& job, const LoadedSource& source, const JobPlan& plan, const JobReport& report) {
  Json json;
  json["schema"] = 1;
  json["tool"] = {{"name", "quernel"},
                  {"version", kVersion},
                  {"commit", kCommit},
                  {"simd", plan.numerics},
                  {"cpu", sys::cpu_description()}};
  json["created"] = sys::utc_timestamp();
  json["command"] = job.command;
  json["source"] = {{"path", job.source},
                    {"architecture", source.checkpoint.config().architecture},
                    {"files", to_json(source.files)}};
  json["method"] = method_json(job, plan);
  json["totals"] = {{"params", report.parameters},
                    {"params_quantized", report.quantized_parameters},
                    {"bpw_effective", report.decoder_bits_per_weight},
                    {"bpw_nominal", plan.grid.bits},
                    {"bpw_model", report.model_bits_per_weight},
                    {"bytes_in", report.bytes_in},
                    {"bytes_out", report.bytes_out},
                    {"seconds", report.seconds},
                    {"peak_rss", report.peak_resident_bytes},
                    {"seed", job.calibration.seed},
                    {"threads", job.threads}};
  json["calibration"] = report.calibration;
  json["layers"] = Json::array();
  for (const ModuleReport& module : report.modules) json["layers"].push_back(module_json(module, plan));
  Json warnings = Json::array();
  for (const std::string& warning : report.warnings) warnings.push_back({{"text", warning}});
  json["warnings"] = std::move(warnings);
  json["checks"] = {{"reload", report.verify.passed},
                    {"modules_equal", report.verify.modules_equal},
                    {"tensors_equal", report.verify.tensors_equal},
                    {"logits_max_abs", report.verify.logits_max_abs},
                    {"logits_tolerance", report.verify.logits_tolerance}};
  json["sanity"] = judge_json(report.judge);
  if (report.prepared.has_value()) json["checks"]["prepared"] = prepared_json(*report.prepared);
  return json;
}

std::string layers_csv(const JobReport& report) {
  std::string csv = "layer,name,rows,cols,bits,group,loss,rel_err,cos,damp,dead_columns,fallback,seconds\n";
  for (const ModuleReport& module : report.modules)
    fmt::format_to(std::back_inserter(csv), "{},{},{},{},{},{},{:.6g},{:.6g},{:.9g},{:g},{},\"{}\",{:.4f}\n",
                   module.layer, module.name, module.rows, module.cols, module.bits, module.group_size,
                   module.relative_loss, module.relative_error, module.cosine, module.damp, module.dead_columns,
                   module.fallback.value_or(""), module.seconds);
  return csv;
}

std::string report_text(const JobReport& report) {
  if (report.already_done) return fmt::format("{} is finished already; nothing was done\n", report.output);
  const LossSummary losses = summarize(report.modules);
  std::string text;
  const auto line = [&text](const char* name, const std::string& value) {
    fmt::format_to(std::back_inserter(text), "  {:<12}{}\n", name, value);
  };
  fmt::format_to(std::back_inserter(text), "{}\n", report.output);
  line("modules", fmt::format("{} quantized, {} of {} M parameters", report.modules.size(),
                              report.quantized_parameters / 1'000'000, report.parameters / 1'000'000));
  line("size",
       fmt::format("{} -> {} ({}; decoder {:.3f} bits a weight, whole model {:.3f})",
                   sys::format_bytes(report.bytes_in), sys::format_bytes(report.bytes_out),
                   fmt::join(report.formats, " + "), report.decoder_bits_per_weight, report.model_bits_per_weight));
  if (report.prepared.has_value())
    line("prepared", fmt::format("{}: logits within {:.1e} of the source, {}", report.prepared->name,
                                 report.prepared->logits_max_abs, sys::format_duration(report.prepared->seconds)));
  line("loss", fmt::format("mean {:.2e}, worst {:.2e} ({})", losses.mean, losses.worst, losses.worst_name));
  if (losses.fallbacks > 0) line("fall-backs", fmt::format("{} modules were rounded to nearest", losses.fallbacks));
  line("verified", fmt::format("{} modules bit for bit, {} other tensors, logits within {:.1e}",
                               report.verify.modules_equal, report.verify.tensors_equal, report.verify.logits_max_abs));
  if (report.judge.sanity.has_value()) {
    const eval::SanityVerdict& sanity = *report.judge.sanity;
    line("answers", sanity.sane ? fmt::format("sane ({:.0f} % end in a loop, the source's {:.0f} %)",
                                              100 * sanity.result.loop_share, 100 * sanity.source.loop_share)
                                : "NOT SANE: " + sanity.reason);
  }
  if (report.judge.kld.has_value())
    line("divergence", fmt::format("{:.4f} on held-out calibration text", *report.judge.kld));
  line("took", fmt::format("{}, peak memory {}", sys::format_duration(report.seconds),
                           sys::format_bytes(report.peak_resident_bytes)));
  return text;
}

}  // namespace quernel::pipeline
