#include "engine/machine_limits.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/packed/table.h"
#include "sys/clock.h"
#include "sys/huge_buffer.h"

namespace quernel::engine {
namespace {

constexpr std::uint64_t kBytesPerThread = std::uint64_t{256} << 20;
constexpr int kRepeats = 5;

template <class Work>
double best_seconds(sys::ThreadPool& pool, const Work& work) {
  double best = 1e30;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    const sys::Stopwatch watch;
    pool.run_on_all(work);
    best = std::min(best, watch.seconds());
  }
  return best;
}

}  // namespace

MachineLimits measure_limits(sys::ThreadPool& pool) {
  MachineLimits limits;
  const auto threads = static_cast<std::size_t>(pool.num_threads());
  std::vector<sys::HugeBuffer> buffers(threads);
  std::vector<std::int64_t> sums(threads);
  const kernels::packed::Sweep sweep = kernels::packed::pick().sweep;
  bool ready = sweep != nullptr;
  for (sys::HugeBuffer& buffer : buffers) {
    Result<sys::HugeBuffer> made = sys::HugeBuffer::make(kBytesPerThread);
    ready = ready && made.ok();
    if (made.ok()) buffer = std::move(made).value();
  }
  if (ready) {
    pool.run_on_all([&](int worker) {
      sys::HugeBuffer& buffer = buffers[static_cast<std::size_t>(worker)];
      std::memset(buffer.data(), 1, buffer.size());
    });
    const double seconds = best_seconds(pool, [&](int worker) {
      const auto w = static_cast<std::size_t>(worker);
      sums[w] +=
          sweep(reinterpret_cast<const std::uint8_t*>(buffers[w].data()), static_cast<std::int64_t>(buffers[w].size()));
    });
    limits.read_bytes_per_second = static_cast<double>(threads * kBytesPerThread) / seconds;
  }
  if (const kernels::packed::Spin spin = kernels::packed::pick().spin; spin != nullptr) {
    std::vector<std::int64_t> done(threads);
    const double seconds =
        best_seconds(pool, [&](int worker) { done[static_cast<std::size_t>(worker)] = spin(2'000'000); });
    std::int64_t total = 0;
    for (const std::int64_t count : done) total += count;
    limits.ops_per_second = static_cast<double>(total) / seconds;
  }
  return limits;
}

}  // namespace quernel::engine
