// Caches of ended sequences, for whoever begins alike.
//
// Memory   blocks are shared with those who forked them; giving an entry up frees what nobody else holds
// Threads  one thread at a time
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/paged_cache.h"

namespace quernel::serve {

// How many of the first tokens of `held`, which is what the cache holds, can serve a sequence that begins with `wanted`: at least the last wanted
// one is left to be computed. Pages of 4 bits are not cut into, as a cut page stays rounded: there a part of `held` ends with a page. None where
// windows have moved on too far.
std::int64_t shared_tokens(const engine::PagedCache& cache, std::span<const std::int32_t> held,
                           std::span<const std::int32_t> wanted);

class PrefixShelf {
 public:
  explicit PrefixShelf(std::int64_t capacity) : capacity_(static_cast<std::size_t>(capacity)) {}

  // cache holds exactly these tokens. Entries that only begin it are dropped, and the least recently used where there are too many.
  void put(std::vector<std::int32_t> tokens, engine::PagedCache cache);

  struct Match {
    const engine::PagedCache* cache = nullptr;  // until the shelf changes
    std::int64_t shared = 0;                    // tokens
  };
  // The entry that serves most, if it serves more than `least` tokens; it counts as used.
  Match find(std::span<const std::int32_t> wanted, std::int64_t least);
  // The least recently used one; false where none is left.
  bool give_up_oldest();
  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(entries_.size()); }

 private:
  struct Entry {
    std::vector<std::int32_t> tokens;
    engine::PagedCache cache;
  };
  std::size_t capacity_;
  std::vector<Entry> entries_;  // least recently used first
};

}  // namespace quernel::serve
