// quernel_serve_tool CHECKPOINT [--sequences N] [--prompt N] [--generate N] [--kv-bits N] [--threads N] [--pass N] [--speculate N] [--budget-mb N]
// [--sampled 0|1] [--repeats N]: that many requests with random prompts at once; tokens a second of all together. For development.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/rng.h"
#include "serve/scheduler.h"
#include "sys/clock.h"

namespace {

using namespace quernel;

template <class T>
T must(Result<T> result) {
  if (!result.ok()) {
    fmt::print(stderr, "{}\n", to_string(result.error()));
    std::exit(1);
  }
  return std::move(result).value();
}

struct Settings {
  std::int64_t sequences, prompt, generate;
  bool sampled;
};

serve::Request make_request(const Settings& settings, std::int64_t index, std::int64_t vocab) {
  serve::Request request;
  CounterRng rng(static_cast<std::uint64_t>(index), "serve_tool");
  for (std::int64_t i = 0; i < settings.prompt; ++i)
    request.prompt.push_back(static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(vocab))));
  request.max_tokens = settings.generate;
  if (settings.sampled) {
    request.sampler.temperature = 0.8;
    request.sampler.top_p = 0.95;
    request.sampler.seed = static_cast<std::uint64_t>(index);
  }
  return request;
}

// All begin at once; decoding is timed from the step on in which the last prompt was read.
void measure(engine::IntModel& model, sys::ThreadPool& pool, const serve::SchedulerOptions& options,
             const Settings& settings) {
  const auto scheduler = must(serve::Scheduler::make(model, pool, nullptr, options));
  for (std::int64_t i = 0; i < settings.sequences; ++i)
    must(scheduler->submit(make_request(settings, i, model.config().vocab_size)));
  const std::int64_t to_read = settings.sequences * settings.prompt;
  const sys::Stopwatch watch;
  double read_seconds = 0.0;
  std::int64_t early_tokens = 0;
  while (scheduler->step()) {
    if (read_seconds > 0.0 || scheduler->stats().read_tokens < to_read) continue;
    read_seconds = watch.seconds();
    early_tokens = scheduler->stats().new_tokens;
  }
  const serve::SchedulerStats& stats = scheduler->stats();
  const double seconds = watch.seconds();
  fmt::print(
      "{} sequences: prompts {:.0f} tokens/s, then {:.0f} tokens/s of {} in {} passes; {} pre-empted, {} of {} guesses "
      "right; all in {:.2f} s\n",
      settings.sequences, static_cast<double>(to_read) / read_seconds,
      static_cast<double>(stats.new_tokens - early_tokens) / (seconds - read_seconds), stats.new_tokens, stats.passes,
      stats.preemptions, stats.accepted, stats.drafted, seconds);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto option = [&](const char* name, std::int64_t fallback) -> std::int64_t {
    for (std::size_t i = 0; i + 1 < words.size(); ++i)
      if (words[i] == name) return std::stoll(words[i + 1]);
    return fallback;
  };
  sys::ThreadPool pool(static_cast<int>(option("--threads", 2)));
  const model::Checkpoint checkpoint = must(model::Checkpoint::open(words.at(0)));
  engine::EngineOptions engine;
  engine.kv_bits = static_cast<int>(option("--kv-bits", 8));
  engine.kv_budget = static_cast<std::uint64_t>(option("--budget-mb", 4096)) << 20U;
  engine::IntModel model = must(engine::IntModel::load(checkpoint, pool, engine));
  serve::SchedulerOptions options;
  options.pass_tokens = option("--pass", 512);
  options.lookup.max_draft = option("--speculate", 0);
  const Settings settings{option("--sequences", 8), option("--prompt", 128), option("--generate", 128),
                          option("--sampled", 0) != 0};
  for (std::int64_t repeat = option("--repeats", 3); repeat > 0; --repeat) measure(model, pool, options, settings);
}
