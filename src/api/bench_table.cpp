#include "api/bench_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

namespace quernel::api {
namespace {

struct Rates {
  double median = 0.0, mean = 0.0, deviation = 0.0, least = 0.0, most = 0.0;  // tokens a second
};

Rates rates_of(const engine::SpeedResult& result) {
  std::vector<double> rates;
  for (const double seconds : result.seconds) rates.push_back(static_cast<double>(result.tokens) / seconds);
  std::sort(rates.begin(), rates.end());
  Rates r;
  if (rates.empty()) return r;
  const std::size_t half = rates.size() / 2;
  r.median = rates.size() % 2 == 1 ? rates[half] : (rates[half - 1] + rates[half]) / 2;
  r.mean = std::accumulate(rates.begin(), rates.end(), 0.0) / static_cast<double>(rates.size());
  for (const double rate : rates) r.deviation += (rate - r.mean) * (rate - r.mean);
  r.deviation = rates.size() > 1 ? std::sqrt(r.deviation / static_cast<double>(rates.size() - 1)) : 0.0;
  r.least = rates.front();
  r.most = rates.back();
  return r;
}

std::string name_of(const engine::SpeedCase& what) {
  std::string name = what.prompt > 0 ? fmt::format("pp{}", what.prompt) : fmt::format("tg{}", what.generate);
  if (what.depth > 0) name += fmt::format(" @ {}", what.depth);
  if (what.batch > 1) name += fmt::format(" x {}", what.batch);
  return name;
}

struct Shares {
  double bytes_per_second = 0.0;
  double ops_per_second = 0.0;
};

Shares shares_of(const BenchRow& row, double tokens_per_second) {
  return {row.bytes_per_step * tokens_per_second / static_cast<double>(row.result.what.batch),
          row.ops_per_token * tokens_per_second};
}

}  // namespace

Json to_json(const BenchReport& report) {
  Json rows = Json::array();
  for (const BenchRow& row : report.rows) {
    const Rates rates = rates_of(row.result);
    const Shares shares = shares_of(row, rates.median);
    Json entry = {{"test", name_of(row.result.what)},
                  {"prompt", row.result.what.prompt},
                  {"generate", row.result.what.generate},
                  {"depth", row.result.what.depth},
                  {"batch", row.result.what.batch},
                  {"tokens_per_second", rates.median},
                  {"mean", rates.mean},
                  {"deviation", rates.deviation},
                  {"min", rates.least},
                  {"max", rates.most},
                  {"seconds", row.result.seconds},
                  {"bytes_per_second", shares.bytes_per_second},
                  {"ops_per_second", shares.ops_per_second}};
    for (std::size_t i = 0; i < row.phase_seconds.size(); ++i)
      entry["phases"][engine::kPhaseNames[i]] = row.phase_seconds[i];
    rows.push_back(std::move(entry));
  }
  return {{"model", report.model},
          {"cpu", report.cpu},
          {"threads", report.threads},
          {"activation_bits", report.activation_bits},
          {"kv_bits", report.kv_bits},
          {"weight_megabytes", report.weight_megabytes},
          {"load_seconds", report.load_seconds},
          {"resident_megabytes", report.resident_megabytes},
          {"kernels", report.kernels.used},
          {"distrusted_kernels", report.kernels.distrusted},
          {"limits",
           {{"read_bytes_per_second", report.limits.read_bytes_per_second},
            {"ops_per_second", report.limits.ops_per_second}}},
          {"rows", std::move(rows)}};
}

std::string to_table(const BenchReport& report) {
  const engine::MachineLimits& limits = report.limits;
  std::string text = fmt::format("{}  {}  {} threads  A{} KV{}\n", report.model, report.cpu, report.threads,
                                 report.activation_bits, report.kv_bits);
  text += fmt::format("weights {:.1f} MB, loaded in {:.2f} s, resident {:.0f} MB; the machine reads {:.1f} GB/s",
                      report.weight_megabytes, report.load_seconds, report.resident_megabytes,
                      limits.read_bytes_per_second / 1e9);
  if (limits.ops_per_second > 0) text += fmt::format(" and multiplies {:.2f} TOPS", limits.ops_per_second / 1e12);
  text += fmt::format("\n\n{:<20} {:>12} {:>9} {:>18} {:>18}\n", "test", "tokens/s", "+-", "GB/s", "TOPS");
  for (const BenchRow& row : report.rows) {
    const Rates rates = rates_of(row.result);
    const Shares shares = shares_of(row, rates.median);
    const auto with_share = [](double value, double unit, double limit) {
      if (value == 0.0) return std::string("-");
      const std::string share = limit > 0 ? fmt::format(" ({:.0f} %)", 100 * value / limit) : "";
      return fmt::format("{:.2f}{}", value / unit, share);
    };
    text += fmt::format("{:<20} {:>12.1f} {:>9.1f} {:>18} {:>18}\n", name_of(row.result.what), rates.median,
                        rates.deviation, with_share(shares.bytes_per_second, 1e9, limits.read_bytes_per_second),
                        with_share(shares.ops_per_second, 1e12, limits.ops_per_second));
    const double total = std::accumulate(row.phase_seconds.begin(), row.phase_seconds.end(), 0.0);
    for (std::size_t i = 0; i < row.phase_seconds.size(); ++i)
      text += fmt::format("    {:<16} {:>6.1f} %\n", engine::kPhaseNames[i], 100 * row.phase_seconds[i] / total);
  }
  return text;
}

std::string to_csv(const BenchReport& report) {
  const auto quoted = [](std::string text) {
    for (std::size_t at = 0; (at = text.find('"', at)) != std::string::npos; at += 2) text.insert(at, 1, '"');
    return '"' + text + '"';
  };
  std::string csv =
      "model,cpu,threads,activation_bits,kv_bits,test,prompt,generate,depth,batch,tokens_per_second,deviation,min,max,"
      "bytes_per_second,ops_per_second,read_bytes_per_second_limit,ops_per_second_limit\n";
  for (const BenchRow& row : report.rows) {
    const Rates rates = rates_of(row.result);
    const Shares shares = shares_of(row, rates.median);
    const engine::SpeedCase& what = row.result.what;
    csv += fmt::format("{},{},{},{},{},{},{},{},{},{},{:.3f},{:.3f},{:.3f},{:.3f},{:.0f},{:.0f},{:.0f},{:.0f}\n",
                       quoted(report.model), quoted(report.cpu), report.threads, report.activation_bits, report.kv_bits,
                       quoted(name_of(what)), what.prompt, what.generate, what.depth, what.batch, rates.median,
                       rates.deviation, rates.least, rates.most, shares.bytes_per_second, shares.ops_per_second,
                       report.limits.read_bytes_per_second, report.limits.ops_per_second);
  }
  return csv;
}

}  // namespace quernel::api
