// The workers of a pass: who takes part, which rows and panels are whose, where they meet.
//
// One token     every worker computes the phases of rows for itself, in memory of its own: cheaper than a barrier
// Few tokens    products are cut statically, so that each core reads the same weights each time, in long streams
// Many tokens   64 outputs at a time are taken as workers come, so that a slow one does less
// Threads       gather(), ran() by one thread, between passes; all else by the workers within one
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/crew.h"
#include "engine/packed_linear.h"
#include "engine/pass_profile.h"
#include "sys/barrier.h"
#include "sys/huge_buffer.h"
#include "tensor/matrix.h"

namespace quernel::engine {

class PassTeam {
 public:
  struct Sizes {
    int num_workers = 1;
    int decode_threads = 0;  // that take part in passes of few tokens at most; 0: all
    std::int64_t max_tokens = 0;
    std::size_t num_products = 0;     // phases with a product, each counts what was taken of it
    std::uint64_t scratch_bytes = 0;  // of a worker
  };
  // Errors: out_of_memory
  static Result<PassTeam> make(const Sizes& sizes);

  // The next pass has so many tokens.
  void gather(std::int64_t num_tokens);
  // It took so long and read so much.
  void ran(double seconds, double bytes);
  void set_profile(PassProfile* profile) { profile_ = profile; }

  [[nodiscard]] int num_workers() const { return num_workers_; }  // of the pass
  [[nodiscard]] std::int64_t num_tokens() const { return num_tokens_; }
  [[nodiscard]] bool is_redundant() const { return num_tokens_ == 1; }
  [[nodiscard]] sys::Barrier& barrier() { return *barrier_; }

  struct Range {
    std::int64_t first, end;
  };
  [[nodiscard]] Range slice(std::int64_t count, int worker) const {
    return {count * worker / num_workers_, count * (worker + 1) / num_workers_};
  }
  [[nodiscard]] Range row_slice(int worker) const {
    return is_redundant() ? Range{0, num_tokens_} : slice(num_tokens_, worker);
  }
  void meet_after_rows() {
    if (!is_redundant()) barrier_->wait();
  }

  void start_profile(int worker) {
    if (profile_ != nullptr && worker == 0) profile_->start();
  }
  void end_phase(int worker, Phase phase) {
    if (profile_ != nullptr && worker == 0) profile_->end(phase);
  }

  // body(first, end) for this worker's share of the panels of a product; then all meet.
  template <class Body>
  void for_panels(int worker, std::int64_t panels, std::size_t product, const Body& body) {
    if (is_cut_statically()) {
      const Range range = slice(panels, worker);
      body(range.first, range.end);
    } else {
      for (;;) {
        const std::int64_t first = taken_[product].fetch_add(kPanelsPerTask, std::memory_order_relaxed);
        if (first >= panels) break;
        body(first, std::min(panels, first + kPanelsPerTask));
      }
    }
    barrier_->wait();
  }
  // This worker's share of products that are computed together; then all meet.
  void multiply(int worker, std::span<const Product> products, std::size_t product);
  [[nodiscard]] ProductScratch scratch(int worker);

 private:
  static constexpr std::int64_t kFewTokens = 23;  // up to here reading the weights is what takes time
  [[nodiscard]] bool is_cut_statically() const { return num_tokens_ <= kFewTokens; }

  int most_workers_ = 1;
  int num_workers_ = 1;
  std::int64_t num_tokens_ = 0;
  Crew crew_{1};
  std::unique_ptr<sys::Barrier> barrier_;
  std::vector<std::atomic<std::int64_t>> taken_;  // panels of each product
  std::vector<sys::HugeBuffer> scratch_;          // of each worker
  Matrix parts_;                                  // [workers, 2 tokens * 64]
  PassProfile* profile_ = nullptr;
};

}  // namespace quernel::engine
