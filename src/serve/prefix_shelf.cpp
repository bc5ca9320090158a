#include "serve/prefix_shelf.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace quernel::serve {

std::int64_t shared_tokens(const engine::PagedCache& cache, std::span<const std::int32_t> held,
                           std::span<const std::int32_t> wanted) {
  const std::size_t most = std::min(held.size(), wanted.empty() ? 0 : wanted.size() - 1);
  const auto [end, other] =
      std::mismatch(held.begin(), held.begin() + static_cast<std::ptrdiff_t>(most), wanted.begin());
  auto shared = static_cast<std::int64_t>(end - held.begin());
  const bool is_part = shared < static_cast<std::int64_t>(held.size());
  if (cache.pool().kv_bits() == 4 && is_part) shared = shared / engine::kPageTokens * engine::kPageTokens;
  return cache.reaches(shared) ? shared : 0;
}

void PrefixShelf::put(std::vector<std::int32_t> tokens, engine::PagedCache cache) {
  QUERNEL_CHECK(static_cast<std::int64_t>(tokens.size()) == cache.length(), "a cache of {} tokens named by {}",
                cache.length(), tokens.size());
  if (capacity_ == 0 || tokens.empty()) return;
  std::erase_if(entries_, [&](const Entry& entry) {
    return entry.tokens.size() <= tokens.size() && std::equal(entry.tokens.begin(), entry.tokens.end(), tokens.begin());
  });
  if (entries_.size() == capacity_) give_up_oldest();
  entries_.push_back({std::move(tokens), std::move(cache)});
}

PrefixShelf::Match PrefixShelf::find(std::span<const std::int32_t> wanted, std::int64_t least) {
  std::size_t best = entries_.size();
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const std::int64_t shared = shared_tokens(entries_[i].cache, entries_[i].tokens, wanted);
    if (shared <= least) continue;
    least = shared;
    best = i;
  }
  if (best == entries_.size()) return {};
  std::rotate(entries_.begin() + static_cast<std::ptrdiff_t>(best),
              entries_.begin() + static_cast<std::ptrdiff_t>(best) + 1, entries_.end());
  return {&entries_.back().cache, least};
}

bool PrefixShelf::give_up_oldest() {
  if (entries_.empty()) return false;
  entries_.erase(entries_.begin());
  return true;
}

}  // namespace quernel::serve
