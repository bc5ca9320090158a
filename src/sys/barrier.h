// A meeting point of a fixed number of threads, for the phases of work that takes microseconds.
//
// Waits    spinning for some microseconds, then asleep: where another process has taken a core, the others do not burn theirs
// Threads  every participant calls wait(); what they wrote before is seen by all after
#pragma once

#include <atomic>
#include <cstdint>

#include "sys/spin.h"

namespace quernel::sys {

class Barrier {
 public:
  explicit Barrier(int participants) : participants_(participants) {}
  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;

  // For the next meetings, while nobody waits.
  void set_participants(int participants) { participants_ = participants; }

  void wait() {
    if (participants_ == 1) return;
    const std::uint32_t round = round_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == participants_) {
      arrived_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_seq_cst);
      if (sleepers_.load(std::memory_order_seq_cst) > 0) round_.notify_all();
      return;
    }
    if (spin_until([&] { return round_.load(std::memory_order_acquire) != round; })) return;
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    while (round_.load(std::memory_order_seq_cst) == round) round_.wait(round, std::memory_order_acquire);
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
  }

 private:
  int participants_;
  std::atomic<int> arrived_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<std::uint32_t> round_{0};
};

}  // namespace quernel::sys
