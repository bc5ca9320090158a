// A fixed set of threads that runs numbered tasks.
//
// The caller chooses the tasks by the problem alone, never by the number of threads; each task writes places of its
// own, sums are joined in task order by the caller. Then results do not depend on the number of threads.
//
// Threads  parallel_for is called by one thread at a time and not from inside a task
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace quernel::sys {

class ThreadPool {
 public:
  explicit ThreadPool(int num_threads);  // 1 or more, the calling thread counts
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] int num_threads() const;

  // Runs task(0) ... task(num_tasks - 1), in any order, and returns when all are done. Tasks are taken one by one, so
  // uneven ones balance.
  void parallel_for(std::int64_t num_tasks, const std::function<void(std::int64_t task)>& task);

  // As above; `worker` in 0 .. num_threads()-1 names the running thread, for scratch memory of its own.
  void parallel_for_worker(std::int64_t num_tasks, const std::function<void(std::int64_t task, int worker)>& task);

  // Runs task(0) ... task(num_threads() - 1), each on a thread of its own and all at once, so that they may wait for each other at a
  // sys::Barrier of num_threads().
  void run_on_all(const std::function<void(int worker)>& task);
  // The same for workers 0 .. count - 1 alone, 1 <= count <= num_threads(): the others are not waited for.
  void run_on(int count, const std::function<void(int worker)>& task);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Cores this process may run on (affinity mask and cgroup quota), at least 1.
int usable_cores();

}  // namespace quernel::sys
