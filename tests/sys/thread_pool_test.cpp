#include "sys/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "sys/barrier.h"

namespace quernel::sys {
namespace {

TEST(ThreadPool, EveryTaskRunsOnceForAnyNumberOfThreads) {
  for (const int threads : {1, 2, 3, 5, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.num_threads(), threads);
    for (const std::int64_t tasks : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(tasks));
      pool.parallel_for(tasks, [&](std::int64_t task) { ++runs[static_cast<std::size_t>(task)]; });
      for (const auto& count : runs) EXPECT_EQ(count.load(), 1);
    }
  }
}

TEST(ThreadPool, WorkersAreNumberedAndNeverShared) {
  constexpr int kThreads = 4;
  ThreadPool pool(kThreads);
  std::vector<std::atomic<int>> busy(kThreads);
  std::atomic<bool> shared{false};
  pool.parallel_for_worker(2000, [&](std::int64_t, int worker) {
    ASSERT_GE(worker, 0);
    ASSERT_LT(worker, kThreads);
    if (busy[static_cast<std::size_t>(worker)].exchange(1) != 0) shared = true;
    busy[static_cast<std::size_t>(worker)] = 0;
  });
  EXPECT_FALSE(shared.load());
}

TEST(ThreadPool, ManyShortCallsLoseNothing) {
  ThreadPool pool(3);
  std::atomic<std::int64_t> sum{0};
  for (int call = 0; call < 5000; ++call) pool.parallel_for(4, [&](std::int64_t task) { sum += task; });
  EXPECT_EQ(sum.load(), 5000 * 6);
}

TEST(ThreadPool, ThisMachineHasACore) { EXPECT_GE(usable_cores(), 1); }

// Every worker at once, and what each wrote before the barrier is seen by all behind it.
TEST(ThreadPool, RunsOnAllWithBarriers) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    Barrier barrier(threads);
    std::vector<int> phase(static_cast<std::size_t>(threads), 0);
    std::atomic<int> faults{0};
    pool.run_on_all([&](int worker) {
      for (int round = 1; round <= 2000; ++round) {
        phase[static_cast<std::size_t>(worker)] = round;
        barrier.wait();
        for (const int other : phase)
          if (other != round) ++faults;
        barrier.wait();
      }
    });
    EXPECT_EQ(faults, 0) << threads;
  }
}

}  // namespace
}  // namespace quernel::sys
