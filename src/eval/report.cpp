#include "eval/report.h"

#include <cmath>

#include "sys/clock.h"

namespace quernel::eval {

namespace {

std::string line(const std::string& name, const std::string& value) { return fmt::format("{:<22} {}\n", name, value); }

std::string with_error(double value, double error, int digits) {
  return fmt::format("{:.{}f} +- {:.{}f}", value, digits, error, digits);
}

std::string where(const WindowPlan& plan, std::int64_t scored, std::int64_t text_tokens) {
  return fmt::format("{} windows of {}, {} tokens scored of {}", plan.count, plan.context, scored, text_tokens);
}

Json to_json(const TaskResult& result) {
  Json json;
  json["acc"] = result.accuracy.value;
  json["acc_se"] = result.accuracy.standard_error;
  if (result.normalized) {
    json["acc_norm"] = result.normalized->value;
    json["acc_norm_se"] = result.normalized->standard_error;
  } else {
    json["ppl"] = std::exp(result.gold_nll.value);
  }
  json["gold_nll"] = result.gold_nll.value;
  json["gold_nll_se"] = result.gold_nll.standard_error;
  json["n"] = result.num_items;
  json["cut"] = result.num_cut;
  json["seconds"] = result.seconds;
  return json;
}

double total_seconds(std::span<const TaskResult> results) {
  double seconds = 0.0;
  for (const TaskResult& result : results) seconds += result.seconds;
  return seconds;
}

std::string row(const std::string& name, const std::string& accuracy, const std::string& normalized,
                const std::string& nll, const std::string& items) {
  return fmt::format("{:<22} {:<17} {:<17} {:<18} {:>6}\n", name, accuracy, normalized, nll, items);
}

}  // namespace

Json to_json(const PerplexityResult& result) {
  Json json;
  json["ppl"] = result.perplexity;
  json["stderr"] = result.standard_error;
  json["tokens"] = result.scored_tokens;
  json["windows"] = result.plan.count;
  json["ctx"] = result.plan.context;
  json["convention"] = to_string(result.convention);
  json["nll"] = result.mean_nll;
  json["text_tokens"] = result.text_tokens;
  json["seconds"] = result.seconds;
  return json;
}

Json to_json(const KldResult& result) {
  Json json;
  json["kld"] = {{"mean", result.mean}, {"se", result.standard_error}, {"median", result.median}, {"p90", result.p90},
                 {"p99", result.p99},   {"p999", result.p999},         {"max", result.max}};
  json["top1"] = result.top1;
  json["top1_se"] = result.top1_standard_error;
  json["dp_mean"] = result.dp_mean;
  json["dp_rms"] = result.dp_rms;
  json["ppl"] = result.perplexity;
  json["stderr"] = result.perplexity_standard_error;
  json["ppl_ref"] = result.reference_perplexity;
  json["stderr_ref"] = result.reference_perplexity_standard_error;
  json["tokens"] = result.scored_tokens;
  json["windows"] = result.plan.count;
  json["ctx"] = result.plan.context;
  json["text_tokens"] = result.text_tokens;
  json["cache"] = {{"used", result.cache_used}, {"step_max", result.cache_step_max}};
  json["seconds"] = result.seconds;
  return json;
}

Json to_json(std::span<const TaskResult> results) {
  Json json;
  for (const TaskResult& result : results) json["tasks"][result.name] = to_json(result);
  json["average"] = mean_accuracy(results);
  json["average_of"] = "acc";
  json["seconds"] = total_seconds(results);
  return json;
}

std::string to_table(const PerplexityResult& result) {
  return line("perplexity", with_error(result.perplexity, result.standard_error, 4)) +
         line("convention", to_string(result.convention)) +
         line("measured on", where(result.plan, result.scored_tokens, result.text_tokens)) +
         line("time", sys::format_duration(result.seconds));
}

std::string to_table(const KldResult& result) {
  std::string cache = "exact";
  if (result.cache_step_max > 0.0) {
    cache = fmt::format("{}, 16 bits, within {:.1e} nats", result.cache_used ? "from the cache" : "computed and cached",
                        result.cache_step_max / 2.0);
  }
  return line("KLD mean", with_error(result.mean, result.standard_error, 6)) +
         line("KLD median", fmt::format("{:.6f}", result.median)) +
         line("KLD 90 %", fmt::format("{:.6f}", result.p90)) + line("KLD 99 %", fmt::format("{:.6f}", result.p99)) +
         line("KLD 99.9 %", fmt::format("{:.6f}", result.p999)) + line("KLD max", fmt::format("{:.6f}", result.max)) +
         line("same top token",
              fmt::format("{} %", with_error(100.0 * result.top1, 100.0 * result.top1_standard_error, 2))) +
         line("delta p rms", fmt::format("{:.3f} %", 100.0 * result.dp_rms)) +
         line("delta p mean", fmt::format("{:.3f} %", 100.0 * result.dp_mean)) +
         line("perplexity", with_error(result.perplexity, result.perplexity_standard_error, 4)) +
         line("perplexity, reference",
              with_error(result.reference_perplexity, result.reference_perplexity_standard_error, 4)) +
         line("measured on", where(result.plan, result.scored_tokens, result.text_tokens)) +
         line("reference logits", cache) + line("time", sys::format_duration(result.seconds));
}

std::string to_table(std::span<const TaskResult> results) {
  const auto show = [](const Mean& mean) { return with_error(mean.value, mean.standard_error, 4); };
  std::string table = row("task", "acc", "acc_norm", "gold nll", "items");
  for (const TaskResult& result : results) {
    table += row(result.name, show(result.accuracy), result.normalized ? show(*result.normalized) : "-",
                 show(result.gold_nll), std::to_string(result.num_items));
  }
  table += line("average acc", fmt::format("{:.4f}", mean_accuracy(results)));
  for (const TaskResult& result : results) {
    if (!result.normalized)
      table += line(result.name + " perplexity", fmt::format("{:.4f}", std::exp(result.gold_nll.value)));
  }
  return table + line("time", sys::format_duration(total_seconds(results)));
}

}  // namespace quernel::eval
