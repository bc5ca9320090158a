// gemv beside the machine's own read rate: a plain sum over the same bytes, by the same number of threads.
#include <fmt/format.h>

#include <memory>
#include <vector>

#include "bench_support.h"
#include "kernels/gemv/table.h"
#include "sys/thread_pool.h"

namespace quernel::bench {
namespace {

using namespace kernels::gemv;

constexpr std::int64_t kCols = 2048;
constexpr std::int64_t kSliceRows = 64;

struct Weights {
  std::int64_t rows;
  Matrix f32;
  std::vector<std::uint16_t> bf16;

  explicit Weights(std::int64_t megabytes)
      : rows(megabytes * 1000000 / 4 / kCols / kSliceRows * kSliceRows), f32(random_matrix(rows, kCols)) {
    bf16.assign(static_cast<std::size_t>(2 * f32.size()), std::uint16_t{0x3F80});  // as many bytes
  }
};

void run(::benchmark::State& state, const Variant& variant, const Weights& weights, bool bf16, int threads,
         std::int64_t vectors) {
  sys::ThreadPool pool(threads);
  const Matrix x = random_matrix(vectors, kCols);
  const std::int64_t rows = bf16 ? 2 * weights.rows : weights.rows;
  Matrix out(vectors, rows);
  for (auto _ : state)
    pool.parallel_for(rows / kSliceRows, [&](std::int64_t slice) {
      const std::int64_t row = slice * kSliceRows;
      if (bf16)
        variant.bf16({weights.bf16.data() + row * kCols, kCols, kSliceRows, kCols, x.data(), kCols, vectors,
                      &out(0, row), rows});
      else
        variant.f32({&weights.f32(row, 0), kCols, kSliceRows, kCols, x.data(), kCols, vectors, &out(0, row), rows});
    });
  report_bytes(state, static_cast<double>(weights.f32.size()) * 4);
}

void read_only(::benchmark::State& state, const Weights& weights, int threads) {
  sys::ThreadPool pool(threads);
  for (auto _ : state)
    pool.parallel_for(weights.rows / kSliceRows, [&](std::int64_t slice) {
      const auto* words = reinterpret_cast<const std::uint64_t*>(&weights.f32(slice * kSliceRows, 0));
      std::uint64_t sums[8] = {};
      for (std::int64_t i = 0; i < kSliceRows * kCols / 2; i += 8)
        for (std::int64_t j = 0; j < 8; ++j) sums[j] ^= words[i + j];
      ::benchmark::DoNotOptimize(sums);
    });
  report_bytes(state, static_cast<double>(weights.f32.size()) * 4);
}

}  // namespace

void register_gemv() {
  for (const std::int64_t megabytes : {8, 500}) {
    // Made at the first run, shared by all of this size.
    auto weights = std::make_shared<std::unique_ptr<Weights>>();
    const auto get = [weights, megabytes]() -> const Weights& {
      if (*weights == nullptr) *weights = std::make_unique<Weights>(megabytes);
      return **weights;
    };
    for (const int threads : {1, 2}) {
      ::benchmark::RegisterBenchmark(fmt::format("read_only/{}MB/threads:{}", megabytes, threads).c_str(),
                                     [=](::benchmark::State& state) { read_only(state, get(), threads); })
          ->UseRealTime();
      for (const Variant& variant : variants())
        for (const bool bf16 : {false, true})
          for (const std::int64_t vectors : {1, 4, 8}) {
            if (!sys::can_use(variant.isa)) continue;
            const auto name = fmt::format("{}/{}/{}MB/vectors:{}/threads:{}", variant.name, bf16 ? "bf16" : "f32",
                                          megabytes, vectors, threads);
            ::benchmark::RegisterBenchmark(name.c_str(), [=](::benchmark::State& state) {
              run(state, variant, get(), bf16, threads, vectors);
            })->UseRealTime();
          }
    }
  }
}

}  // namespace quernel::bench
