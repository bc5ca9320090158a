#include "sys/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "sys/spin.h"

namespace quernel::sys {

struct ThreadPool::State {
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable finished;
  std::atomic<std::uint64_t> generation{0};  // counts parallel_for calls; workers sleep until it moves
  std::atomic<int> running{0};               // workers still inside the current call
  bool stop = false;

  const std::function<void(std::int64_t, int)>* task = nullptr;
  int active = 0;              // workers of the current call
  std::int64_t num_tasks = 0;  // kOneEach: every worker runs task(worker, worker) once
  std::atomic<std::int64_t> next{0};

  static constexpr std::int64_t kOneEach = -1;

  void work(int worker) {
    if (num_tasks == kOneEach) return (*task)(worker, worker);
    for (;;) {
      const std::int64_t index = next.fetch_add(1, std::memory_order_relaxed);
      if (index >= num_tasks) return;
      (*task)(index, worker);
    }
  }

  // The calling thread is worker 0.
  void run(const std::function<void(std::int64_t, int)>& wanted, std::int64_t count, int workers) {
    {
      const std::scoped_lock lock(mutex);
      QUERNEL_CHECK(running == 0, "parallel_for inside a task, or from two threads");
      task = &wanted;
      num_tasks = count;
      next.store(0, std::memory_order_relaxed);
      active = workers;
      running = workers - 1;
      ++generation;
    }
    wake.notify_all();
    work(0);
    spin_until([this] { return running.load(std::memory_order_relaxed) == 0; });
    std::unique_lock lock(mutex);
    finished.wait(lock, [this] { return running == 0; });
    task = nullptr;
  }

  void worker_loop(int worker) {
    std::uint64_t seen = 0;
    for (;;) {
      spin_until([&] { return generation.load(std::memory_order_relaxed) != seen; });
      {
        std::unique_lock lock(mutex);
        wake.wait(lock, [&] { return stop || generation != seen; });
        if (stop) return;
        seen = generation;
        if (worker >= active) continue;
      }
      work(worker);
      const std::scoped_lock lock(mutex);
      if (--running == 0) finished.notify_one();
    }
  }
};

ThreadPool::ThreadPool(int num_threads) : state_(std::make_unique<State>()) {
  QUERNEL_CHECK(num_threads >= 1, "a pool of {} threads", num_threads);
  for (int worker = 1; worker < num_threads; ++worker)
    state_->threads.emplace_back([state = state_.get(), worker] { state->worker_loop(worker); });
}

ThreadPool::~ThreadPool() {
  {
    const std::scoped_lock lock(state_->mutex);
    state_->stop = true;
  }
  state_->wake.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
}

int ThreadPool::num_threads() const { return static_cast<int>(state_->threads.size()) + 1; }

void ThreadPool::parallel_for(std::int64_t num_tasks, const std::function<void(std::int64_t)>& task) {
  parallel_for_worker(num_tasks, [&task](std::int64_t index, int) { task(index); });
}

void ThreadPool::parallel_for_worker(std::int64_t num_tasks, const std::function<void(std::int64_t, int)>& task) {
  if (num_tasks <= 0) return;
  if (state_->threads.empty() || num_tasks == 1) {
    for (std::int64_t index = 0; index < num_tasks; ++index) task(index, 0);
    return;
  }
  state_->run(task, num_tasks, num_threads());
}

void ThreadPool::run_on_all(const std::function<void(int)>& task) { run_on(num_threads(), task); }

void ThreadPool::run_on(int count, const std::function<void(int)>& task) {
  QUERNEL_CHECK(count >= 1 && count <= num_threads(), "{} workers of {}", count, num_threads());
  if (count == 1) return task(0);
  state_->run([&task](std::int64_t, int worker) { task(worker); }, State::kOneEach, count);
}

namespace {

// Whole cores that the cgroup's quota allows, or a large number where there is none.
int cgroup_cores() {
  constexpr int kNoLimit = 1 << 20;
  std::ifstream unified("/sys/fs/cgroup/cpu.max");
  std::string quota_text;
  double period = 0;
  if (unified >> quota_text >> period && quota_text != "max" && period > 0)
    return std::max(1, static_cast<int>(std::stod(quota_text) / period));
  std::ifstream quota_file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  std::ifstream period_file("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  double quota = 0;
  if (quota_file >> quota && period_file >> period && quota > 0 && period > 0)
    return std::max(1, static_cast<int>(quota / period));
  return kNoLimit;
}

}  // namespace

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int mask_cores = ::sched_getaffinity(0, sizeof(set), &set) == 0
                             ? CPU_COUNT(&set)
                             : static_cast<int>(std::thread::hardware_concurrency());
  return std::max(1, std::min(mask_cores, cgroup_cores()));
}

}  // namespace quernel::sys
