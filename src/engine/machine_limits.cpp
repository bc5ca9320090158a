#include "engine/machine_limits.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "kernels/packed/table.h"
#include "sys/huge_buffer.h"

namespace quernel::engine {
namespace {

constexpr std::uint64_t kBytesPerThread = std::uint64_t{256} << 20;
constexpr int kRepeats = 5;

template <class Work>
double best_seconds(sys::ThreadPool& pool, const Work& work) {
  double best = 1e30;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    pool.run_on_all(work);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

// Eight sums, so that additions do not wait for each other.
std::uint64_t sum_of(const std::byte* from, std::uint64_t bytes) {
  std::uint64_t sums[8] = {};
  for (std::uint64_t i = 0; i < bytes; i += sizeof sums) {
    std::uint64_t words[8];
    std::memcpy(words, from + i, sizeof words);
    for (int w = 0; w < 8; ++w) sums[w] += words[w];
  }
  std::uint64_t total = 0;
  for (const std::uint64_t sum : sums) total += sum;
  return total;
}

}  // namespace

MachineLimits measure_limits(sys::ThreadPool& pool) {
  MachineLimits limits;
  const auto threads = static_cast<std::size_t>(pool.num_threads());
  std::vector<sys::HugeBuffer> buffers(threads);
  std::vector<std::uint64_t> sums(threads);
  bool ready = true;
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
      sums[w] += sum_of(buffers[w].data(), buffers[w].size());
    });
    limits.read_bytes_per_second = static_cast<double>(threads * kBytesPerThread) / seconds;
  }
  if (const kernels::packed::Spin spin = kernels::packed::pick().spin; spin != nullptr) {
    std::vector<std::int64_t> done(threads);
    const double seconds = best_seconds(pool, [&](int worker) { done[static_cast<std::size_t>(worker)] = spin(2'000'000); });
    std::int64_t total = 0;
    for (const std::int64_t count : done) total += count;
    limits.ops_per_second = static_cast<double>(total) / seconds;
  }
  return limits;
}

}  // namespace quernel::engine
