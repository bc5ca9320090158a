// The paged cache of keys and values.
//
// A block is one page (32 positions) of every layer and key/value head. Slabs of 16 blocks keep the keys of one layer and head side by
// side, then their values: a sequence that took its blocks in a row is read in long streams. Sequences hold blocks by count: what a prefix has in
// common is stored once; whoever writes into a block that others hold gets a copy first.
// Bits     16 or 8: all blocks alike. 4: a page that is full, and not a sequence's first, is rounded from 8 bits to 4 when its own tokens have
//          been attended (runtime/simulated.h says why and how)
// Units    positions count from 0 and are the cache's own; where pages were dropped, a token's place in its text is dropped() further on. The
//          budget is in bytes
// Memory   slabs stay with the kind of block they were made for while one is held; where the budget is short, slabs without a held block go back
// Errors   make: unsupported (head_dim, bits); reserve: limit_exceeded where the budget is used up, with what is missing
// Threads  pools and caches by one thread at a time; pages from any
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "kernels/kv_attention/page.h"
#include "model/config.h"
#include "sys/huge_buffer.h"

namespace quernel::engine {

using kernels::kv_attention::kPageTokens;

class PagePool {
 public:
  static Result<PagePool> make(const model::ModelConfig& config, int kv_bits, std::uint64_t budget_bytes);

  struct Block;  // counted by its holders

  [[nodiscard]] int kv_bits() const { return kv_bits_; }
  [[nodiscard]] int open_bits() const { return kv_bits_ == 4 ? 8 : kv_bits_; }  // of pages that are written
  [[nodiscard]] std::uint64_t budget_bytes() const { return budget_; }
  [[nodiscard]] std::uint64_t used_bytes() const { return used_; }  // of slabs
  [[nodiscard]] std::uint64_t free_bytes() const;                   // not in slabs, and in blocks that nobody holds
  // The longest sequence that the budget holds when it is alone, in whatever order its blocks came.
  [[nodiscard]] std::int64_t most_tokens() const;
  [[nodiscard]] std::uint64_t block_bytes(int bits) const;
  [[nodiscard]] std::int64_t head_dim() const { return head_dim_; }
  // What a token reads that has `length` others before it.
  [[nodiscard]] std::uint64_t bytes_read(std::int64_t length) const;
  [[nodiscard]] std::int64_t pages_per_block() const { return layers_ * kv_heads_; }

  // A block with one holder, contents undefined; null where the budget is used up.
  Block* take(int bits);
  static void hold(Block* block);
  void release(Block* block);
  [[nodiscard]] static int holders(const Block* block);
  [[nodiscard]] kernels::kv_attention::PageBytes page(const Block* block, std::int64_t layer,
                                                      std::int64_t kv_head) const;
  [[nodiscard]] Block* copy(const Block* block);  // null as take()

  PagePool();
  ~PagePool();
  PagePool(PagePool&&) noexcept;
  PagePool& operator=(PagePool&&) noexcept;

 private:
  std::int64_t layers_ = 0;
  std::int64_t kv_heads_ = 0;
  std::int64_t head_dim_ = 0;
  int kv_bits_ = 8;
  std::uint64_t budget_ = 0;
  std::uint64_t used_ = 0;
  struct Slab;
  bool add_slab(int bits);
  bool give_back_slabs(int bits);

  std::vector<std::unique_ptr<Slab>> slabs_;
  std::vector<Block*> free_[2];  // open, closed
};

// One sequence's pages.
class PagedCache {
 public:
  explicit PagedCache(PagePool& pool) : pool_(&pool) {}
  ~PagedCache();
  PagedCache(PagedCache&& other) noexcept;
  PagedCache& operator=(PagedCache&& other) noexcept;

  [[nodiscard]] std::int64_t length() const { return length_; }
  [[nodiscard]] const PagePool& pool() const { return *pool_; }

  // Gives up whole pages before the last; what follows moves up. Later tokens do not see them, those in the cache have.
  void drop(std::int64_t first_page, std::int64_t num_pages);
  [[nodiscard]] std::int64_t dropped() const { return dropped_; }  // tokens

  // Forgets tokens from `length` on. A page of 4 bits that is cut becomes one of 8 again; its tokens stay rounded.
  Status cut(std::int64_t length);
  // Makes positions length() .. length() + tokens writable, as the next pass will write them. On failure nothing has changed.
  Status reserve(std::int64_t tokens);
  // The reserved tokens have been written and attended: full pages keep their rounded form alone.
  void commit(std::int64_t tokens);
  // The same tokens, sharing all blocks.
  [[nodiscard]] PagedCache fork() const;

  // For a forward pass, page = position / 32. open: 8 or 16 bits, where tokens are written; null where only the rounded one is left.
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
  void release(Entry& entry);
  Status try_reserve(std::int64_t end);
  Status make_writable(Entry& entry);
  Status reopen(Entry& entry, std::int64_t tokens);

  PagePool* pool_ = nullptr;
  std::vector<Entry> entries_;
  std::int64_t length_ = 0;
  std::int64_t dropped_ = 0;
};

}  // namespace quernel::engine
