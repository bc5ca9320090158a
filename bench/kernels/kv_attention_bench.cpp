#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "base/rng.h"
#include "bench_support.h"
#include "kernels/int_rows/table.h"
#include "kernels/kv_attention/table.h"
#include "sys/huge_buffer.h"

namespace quernel::kernels::kv_attention {
namespace {

// Queries of one key/value head behind a cache of `runs` runs of 256 positions.
struct Problem {
  std::int64_t head_dim, runs;
  PageLayout layout;
  sys::HugeBuffer memory;
  std::vector<Page> pages;
  std::vector<float> values;
  std::vector<std::int8_t> high, low;
  std::vector<Query> queries;
  Matrix mixed;
  std::vector<Partial> partials;

  Problem(std::int64_t dim, int bits, std::int64_t num_queries, std::int64_t num_runs)
      : head_dim(dim), runs(num_runs), layout(page_layout(dim, bits)), mixed(num_queries, padded_dim(dim)) {
    const std::int64_t num_pages = runs * kMaxRunPages;
    const std::int64_t page_bytes = layout.key_bytes + layout.value_bytes;
    memory = std::move(sys::HugeBuffer::make(static_cast<std::uint64_t>(num_pages * page_bytes))).value();
    CounterRng rng(1, "attention");
    for (std::int64_t p = 0; p < num_pages; ++p) {
      auto* at = reinterpret_cast<std::uint8_t*>(memory.data()) + p * page_bytes;
      for (std::int64_t i = 0; i < page_bytes; ++i) at[i] = static_cast<std::uint8_t>(rng.below(100));
      auto* params = reinterpret_cast<std::uint16_t*>(at + layout.key_params);
      auto* value_params = reinterpret_cast<std::uint16_t*>(at + layout.key_bytes + layout.value_params);
      for (std::int64_t i = 0; i < 2 * kPageTokens; ++i) params[i] = value_params[i] = 0x1400;  // small
      pages.push_back({{at, at + layout.key_bytes}, bits});
    }
    const auto width = static_cast<std::size_t>((dim + 63) / 64 * 64);
    values.resize(static_cast<std::size_t>(num_queries) * width);
    high.resize(values.size());
    low.resize(values.size());
    for (float& v : values) v = static_cast<float>(rng.normal());
    for (std::size_t q = 0; q < static_cast<std::size_t>(num_queries); ++q) {
      Query query{&values[q * width], &high[q * width], &low[q * width], 0, 0, 0, num_pages * kPageTokens};
      std::int32_t high_sums[16], low_sums[16];
      float high_scale = 0;
      int_rows::functions().split(query.values, dim, static_cast<std::int64_t>(width),
                                  {&high[q * width], high_sums, &high_scale},
                                  {&low[q * width], low_sums, &query.scale});
      queries.push_back(query);
      partials.push_back({0, 0, mixed.row(static_cast<std::int64_t>(q)).data()});
    }
  }

  void run(Run kernel) {
    for (std::int64_t r = 0; r < runs; ++r) {
      const std::int64_t next = (r + 1) % runs;
      kernel({queries.data(), partials.data(), static_cast<std::int64_t>(queries.size()), &pages[r * kMaxRunPages],
              kMaxRunPages, &pages[next * kMaxRunPages], kMaxRunPages, r * kMaxRunPages * kPageTokens, head_dim, 0.125F,
              0.0F, 0});
    }
  }
};

// TOPS: multiplications and additions of two parts with keys and with values.
void measure(benchmark::State& state, Run kernel, std::int64_t dim, int bits) {
  Problem problem(dim, bits, state.range(0), state.range(1));
  for (auto _ : state) problem.run(kernel);
  const auto calls = static_cast<double>(state.iterations());
  const double positions = static_cast<double>(problem.runs * kMaxRunPages * kPageTokens);
  state.counters["TOPS"] = benchmark::Counter(
      8.0 * static_cast<double>(dim * state.range(0)) * positions * calls * 1e-12, benchmark::Counter::kIsRate);
  state.counters["GB/s"] =
      benchmark::Counter(static_cast<double>(problem.memory.size()) * calls * 1e-9, benchmark::Counter::kIsRate);
}

[[maybe_unused]] const bool kAdded = [] {
  for (const Variant& variant : variants()) {
    if (!sys::can_use(variant.isa) || variant.isa == sys::Isa::scalar) continue;
    for (const auto& [dim, bits] : {std::pair<std::int64_t, int>{64, 8}, {64, 4}, {128, 8}, {128, 4}}) {
      const std::string name = std::string(variant.name) + "/d" + std::to_string(dim) + "_kv" + std::to_string(bits);
      // Many queries over one run: a prompt; few over 1,024 runs: a token behind a long context, from memory.
      benchmark::RegisterBenchmark(name.c_str(),
                                   [=](benchmark::State& state) { measure(state, variant.run, dim, bits); })
          ->Args({256, 1})
          ->Args({96, 1})
          ->Args({3, 1})
          ->Args({3, 1024})
          ->Args({8, 1024})
          ->Unit(benchmark::kMicrosecond);
    }
  }
  return true;
}();

}  // namespace
}  // namespace quernel::kernels::kv_attention
