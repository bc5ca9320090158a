#include "api/bench_table.h"
#include "api/failure.h"
#include "api/loaded_model.h"
#include "engine/int_model.h"
#include "quernel/quernel.h"
#include "sys/clock.h"
#include "sys/cpu.h"
#include "sys/memory.h"

namespace quernel::api {
namespace {

std::vector<engine::SpeedCase> cases_of(const BenchOptions& options) {
  std::vector<engine::SpeedCase> cases;
  for (const std::int64_t depth : options.depths) {
    for (const std::int64_t prompt : options.prompts)
      if (prompt > 0) cases.push_back({.prompt = prompt, .depth = depth});
    for (const std::int64_t generate : options.generates)
      for (const std::int64_t batch : options.batches)
        if (generate > 0) cases.push_back({.generate = generate, .depth = depth, .batch = batch});
  }
  return cases;
}

BenchRow measure(engine::IntModel& model, const engine::SpeedCase& what, const BenchOptions& options) {
  engine::PassProfile profile;
  BenchRow row;
  row.result = take(engine::measure_speed(model, what, options.repeats, options.profile ? &profile : nullptr));
  if (options.profile) row.phase_seconds.assign(profile.seconds().begin(), profile.seconds().end());
  row.ops_per_token = 2.0 * static_cast<double>(model.num_weights());
  if (what.generate > 0) {
    const std::uint64_t cache = model.pages().bytes_read(what.depth + what.generate / 2);
    row.bytes_per_step = static_cast<double>(model.weight_bytes() + cache * static_cast<std::uint64_t>(what.batch));
  }
  return row;
}

}  // namespace

Report bench(const BenchOptions& options, const Observer& observer) {
  const auto pool = make_pool(options.engine.threads);
  BenchReport report;
  report.model = options.engine.path;
  report.cpu = sys::cpu_description();
  report.threads = pool->num_threads();
  report.kv_bits = options.engine.kv_bits;
  report.limits = engine::measure_limits(*pool);
  const sys::Stopwatch watch;
  const model::Checkpoint checkpoint = take(model::Checkpoint::open(options.engine.path));
  engine::IntModel model = take(engine::IntModel::load(checkpoint, *pool, to_engine(options.engine)));
  report_load(model, observer);
  report.load_seconds = watch.seconds();
  report.kernels = engine::chosen_kernels();
  report.activation_bits = model.activation_bits();
  report.weight_megabytes = static_cast<double>(model.weight_bytes()) / 1e6;
  for (const engine::SpeedCase& what : cases_of(options)) report.rows.push_back(measure(model, what, options));
  report.resident_megabytes = static_cast<double>(sys::resident_bytes()) / 1e6;
  return {dump_json(to_json(report)), options.csv ? to_csv(report) : to_table(report)};
}

}  // namespace quernel::api
