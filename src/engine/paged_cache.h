// One sequence's keys and values, in pages of a pool.
//
// What a prefix has in common with another sequence is stored once; whoever writes into a block that others hold gets a copy first.
// Bits     16 or 8: all blocks alike. 4: a page that is full, and not a sequence's first, is rounded from 8 bits to 4 when its own tokens have
//          been attended (runtime/simulated.h says why and how)
// Windows  pages that no later token of any layer of their group can see are given up, but for some behind the window, so that the last tokens
//          can be taken back
// Units    positions count from 0 and are the cache's own; where pages were dropped, a token's place in its text is dropped() further on
// Errors   reserve, cut: limit_exceeded where the budget is used up, with what is missing
// Threads  one at a time; pages from any
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "engine/page_pool.h"

namespace quernel::engine {

class PagedCache {
 public:
  explicit PagedCache(PagePool& pool) : pool_(&pool), pages_(pool.groups().size()) {}
  ~PagedCache();
  PagedCache(PagedCache&& other) noexcept;
  PagedCache& operator=(PagedCache&& other) noexcept;

  [[nodiscard]] std::int64_t length() const { return length_; }
  [[nodiscard]] const PagePool& pool() const { return *pool_; }

  // Gives up whole pages before the last; what follows moves up. Later tokens do not see them, those in the cache have. Not where layers have
  // windows: they forget by themselves.
  void drop(std::int64_t first_page, std::int64_t num_pages);
  [[nodiscard]] std::int64_t dropped() const { return dropped_; }  // tokens

  // Whether the tokens from `length` on can be forgotten: what those before them see is still there.
  [[nodiscard]] bool reaches(std::int64_t length) const;
  // Forgets them. A page of 4 bits that is cut becomes one of 8 again; its tokens stay rounded.
  Status cut(std::int64_t length);
  // Makes positions length() .. length() + tokens writable, as the next pass will write them. On failure nothing has changed.
  Status reserve(std::int64_t tokens);
  // The reserved tokens have been written and attended: full pages keep their rounded form alone, those behind the window go.
  void commit(std::int64_t tokens);
  // The same tokens, sharing all blocks.
  [[nodiscard]] PagedCache fork() const;

  // For a forward pass, page = position / 32. open: 8 or 16 bits, where tokens are written; null where only the rounded one is left, or none.
  [[nodiscard]] kernels::kv_attention::PageBytes open_page(std::int64_t page, std::int64_t layer,
                                                           std::int64_t kv_head) const;
  [[nodiscard]] kernels::kv_attention::PageBytes closed_page(std::int64_t page, std::int64_t layer,
                                                             std::int64_t kv_head) const;
  [[nodiscard]] bool closes(std::int64_t page) const;  // whether this page is to be rounded in this pass

 private:
  struct Entry {
    PagePool::Block* open = nullptr;
    PagePool::Block* closed = nullptr;
  };
  // Of the layers of a group: of each page what is held, nothing of the first ones where they are forgotten.
  struct Pages {
    std::vector<Entry> entries;
    std::int64_t num_forgotten = 0;
  };
  void release(Entry& entry);
  void release_all();
  void release_from(Pages& pages, std::int64_t first);
  void forget(Pages& pages, const LayerGroup& group);
  Status try_reserve(std::size_t group, std::int64_t end);
  void undo_reserve(Pages& pages);
  Status make_writable(Entry& entry, std::size_t group);
  Status reopen(Entry& entry, std::size_t group, std::int64_t tokens);
  [[nodiscard]] const Entry& entry(std::int64_t page, std::int64_t layer) const {
    return pages_[pool_->group_of(layer)].entries[static_cast<std::size_t>(page)];
  }

  PagePool* pool_ = nullptr;
  std::vector<Pages> pages_;  // of each group of layers
  std::int64_t length_ = 0;
  std::int64_t dropped_ = 0;
};

}  // namespace quernel::engine
