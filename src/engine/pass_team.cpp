#include "engine/pass_team.h"

#include <utility>

namespace quernel::engine {

Result<PassTeam> PassTeam::make(const Sizes& sizes) {
  PassTeam team;
  team.most_workers_ = sizes.num_workers;
  team.crew_ = Crew(sizes.decode_threads == 0 ? sizes.num_workers : std::min(sizes.decode_threads, sizes.num_workers));
  team.barrier_ = std::make_unique<sys::Barrier>(sizes.num_workers);
  team.taken_ = std::vector<std::atomic<std::int64_t>>(sizes.num_products);
  for (int w = 0; w < sizes.num_workers; ++w) {
    QUERNEL_TRY(sys::HugeBuffer scratch, sys::HugeBuffer::make(sizes.scratch_bytes));
    team.scratch_.push_back(std::move(scratch));
  }
  team.parts_ = Matrix(sizes.num_workers, 2 * sizes.max_tokens * kPanelsPerTask * kernels::packed::kPanelOutputs);
  return team;
}

void PassTeam::gather(std::int64_t num_tokens) {
  num_tokens_ = num_tokens;
  num_workers_ = is_cut_statically() ? crew_.size() : most_workers_;
  barrier_->set_participants(num_workers_);
  for (auto& count : taken_) count.store(0, std::memory_order_relaxed);
}

void PassTeam::ran(double seconds, double bytes) {
  if (is_cut_statically()) crew_.ran(seconds, bytes);
}

ProductScratch PassTeam::scratch(int worker) {
  return {reinterpret_cast<std::uint8_t*>(scratch_[static_cast<std::size_t>(worker)].data()),
          parts_.row(worker).data()};
}

void PassTeam::multiply(int worker, std::span<const Product> products, std::size_t product) {
  for_panels(worker, num_panels(products), product,
             [&](std::int64_t first, std::int64_t end) { run_products(products, first, end, scratch(worker)); });
}

}  // namespace quernel::engine
