// The pool of pages of keys and values: who holds which is counted, memory comes in slabs, and a budget in bytes is kept.
//
// Layers stand in groups, whose pages come and go together: those that see all that came before, and those with a sliding window, whose old
// pages are given up. A block is one page (32 positions) of every layer of a group and every key/value head. Slabs of 16 blocks keep the keys
// of one layer and head side by side, then their values: a sequence that took its blocks in a row is read in long streams.
// Bits     of blocks: 16 or 8, or 4 and 8 of a cache of 4 bits (paged_cache.h)
// Memory   slabs stay with the kind of block they were made for while one is held; where the budget is short, slabs without a held block go back
// Errors   make: unsupported (head_dim, bits)
// Threads  one at a time; pages from any
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "kernels/kv_attention/page.h"
#include "model/config.h"
#include "sys/huge_buffer.h"

namespace quernel::engine {

using kernels::kv_attention::kPageTokens;

// Rows of one forward pass at most: what a sequence writes at once.
inline constexpr std::int64_t kMaxPassTokens = 512;
// Positions that stay behind a sliding window, so that the last tokens can be taken back (speculation, an answer asked for again).
inline constexpr std::int64_t kBehindWindow = 256;

struct LayerGroup {
  std::int64_t num_layers = 0;
  std::int64_t window = 0;  // positions that a token sees, its own among them; 0: all

  // The first position that tokens from `length` on may see, cut back or not.
  [[nodiscard]] std::int64_t first_needed(std::int64_t length) const;
  // Pages that a sequence needs when it has grown to `tokens`, or needed on its way there.
  [[nodiscard]] std::int64_t most_pages(std::int64_t tokens) const;
};

class PagePool {
 public:
  static Result<PagePool> make(const model::ModelConfig& config, int kv_bits, std::uint64_t budget_bytes);

  struct Block;  // counted by its holders

  [[nodiscard]] int kv_bits() const { return kv_bits_; }
  [[nodiscard]] int open_bits() const { return kv_bits_ == 4 ? 8 : kv_bits_; }  // of pages that are written
  [[nodiscard]] std::int64_t head_dim() const { return head_dim_; }
  [[nodiscard]] std::span<const LayerGroup> groups() const { return groups_; }
  [[nodiscard]] std::size_t group_of(std::int64_t layer) const {
    return places_[static_cast<std::size_t>(layer)].group;
  }

  [[nodiscard]] std::uint64_t budget_bytes() const { return budget_; }
  [[nodiscard]] std::uint64_t used_bytes() const { return used_; }  // of slabs
  [[nodiscard]] std::uint64_t free_bytes() const;                   // not in slabs, and in blocks that nobody holds
  [[nodiscard]] std::uint64_t page_bytes(int bits) const;           // of all layers
  // The longest sequence that the budget holds when it is alone, in whatever order its blocks came.
  [[nodiscard]] std::int64_t most_tokens() const;
  // What a token reads that has `length` others before it.
  [[nodiscard]] std::uint64_t bytes_read(std::int64_t length) const;

  // A block with one holder, contents undefined; null where the budget is used up.
  Block* take(std::size_t group, int bits);
  [[nodiscard]] Block* copy(const Block* block);  // null as take()
  static void hold(Block* block);
  void release(Block* block);
  [[nodiscard]] static int holders(const Block* block);

  // layer: of the block's group, as all of the model are counted.
  [[nodiscard]] kernels::kv_attention::PageBytes page(const Block* block, std::int64_t layer,
                                                      std::int64_t kv_head) const;
  // The same by number, for who wants all pages of a block.
  [[nodiscard]] std::int64_t num_pages(const Block* block) const;
  [[nodiscard]] kernels::kv_attention::PageBytes page(const Block* block, std::int64_t index) const;

  PagePool();
  ~PagePool();
  PagePool(PagePool&&) noexcept;
  PagePool& operator=(PagePool&&) noexcept;

 private:
  static constexpr std::size_t kMostKinds = 4;  // two groups, open and closed
  struct Slab;
  struct Place {
    std::size_t group;
    std::int64_t index;  // in the group
  };
  void place_layers(const model::ModelConfig& config);
  [[nodiscard]] std::uint64_t block_bytes(std::size_t group, int bits) const;
  [[nodiscard]] std::uint64_t most_bytes(std::int64_t tokens) const;
  std::vector<Block*>& free_blocks(std::size_t group, int bits) { return free_[2 * group + (bits == 4 ? 1 : 0)]; }
  bool add_slab(std::size_t group, int bits);
  template <typename Pick>
  bool give_back_slabs(const Pick& pick);

  std::vector<LayerGroup> groups_;
  std::vector<Place> places_;  // of each layer
  std::int64_t kv_heads_ = 0;
  std::int64_t head_dim_ = 0;
  std::int64_t max_positions_ = 0;
  int kv_bits_ = 8;
  std::uint64_t budget_ = 0;
  std::uint64_t used_ = 0;
  std::vector<std::unique_ptr<Slab>> slabs_;
  std::array<std::vector<Block*>, kMostKinds> free_;
};

}  // namespace quernel::engine
