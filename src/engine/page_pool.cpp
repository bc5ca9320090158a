#include "engine/page_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/checked.h"

namespace quernel::engine {

namespace kv = kernels::kv_attention;

namespace {

constexpr std::int64_t kSlabBlocks = 16;

std::int64_t in_whole_slabs(std::int64_t blocks) { return ceil_div(blocks, kSlabBlocks) * kSlabBlocks; }

}  // namespace

struct PagePool::Block {
  Slab* slab = nullptr;
  std::int64_t index = 0;  // within the slab
  int holders = 0;
};

struct PagePool::Slab {
  std::size_t group = 0;
  int bits = 0;
  std::int64_t num_held = 0;  // blocks
  sys::HugeBuffer memory;
  std::vector<Block> blocks;  // kSlabBlocks, or what the budget still had
};

std::int64_t LayerGroup::first_needed(std::int64_t length) const {
  return window == 0 ? 0 : std::max<std::int64_t>(0, length + 1 - window - kBehindWindow);
}

std::int64_t LayerGroup::most_pages(std::int64_t tokens) const {
  const std::int64_t all = ceil_div(tokens, kPageTokens);
  if (window == 0) return all;
  return std::min(all, ceil_div(window - 1 + kBehindWindow + kMaxPassTokens, kPageTokens) + 1);
}

PagePool::PagePool() = default;
PagePool::~PagePool() = default;
PagePool::PagePool(PagePool&&) noexcept = default;
PagePool& PagePool::operator=(PagePool&&) noexcept = default;

// Layers without a window first. Windows of several sizes make one group, which keeps what the widest sees.
void PagePool::place_layers(const model::ModelConfig& config) {
  const auto window_of = [&](std::int64_t layer) -> std::int64_t {
    if (layer >= static_cast<std::int64_t>(config.layers.size())) return 0;
    const std::int64_t window = config.layers[static_cast<std::size_t>(layer)].sliding_window.value_or(0);
    return window < config.max_positions ? window : 0;
  };
  LayerGroup everywhere;
  LayerGroup nearby;
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
    const std::int64_t window = window_of(layer);
    LayerGroup& group = window == 0 ? everywhere : nearby;
    places_.push_back({window == 0 ? std::size_t{0} : std::size_t{1}, group.num_layers++});
    group.window = std::max(group.window, window);
  }
  if (everywhere.num_layers > 0) groups_.push_back(everywhere);
  if (nearby.num_layers > 0) groups_.push_back(nearby);
  if (groups_.size() == 1)
    for (Place& place : places_) place.group = 0;
}

Result<PagePool> PagePool::make(const model::ModelConfig& config, int kv_bits, std::uint64_t budget_bytes) {
  if (kv_bits != 16 && kv_bits != 8 && kv_bits != 4)
    return Error(Fault::unsupported, "bits that the cache cannot have")
        .in_field("--kv-bits")
        .expect("16, 8 or 4", fmt::format("{}", kv_bits));
  if (config.head_dim % 8 != 0 || config.head_dim > kv::kMaxHeadDim)
    return Error(Fault::unsupported, "heads that the paged cache cannot hold")
        .in_field("head_dim")
        .expect(fmt::format("a multiple of 8 up to {}", kv::kMaxHeadDim), fmt::format("{}", config.head_dim));
  PagePool pool;
  pool.place_layers(config);
  pool.kv_heads_ = config.num_kv_heads;
  pool.head_dim_ = config.head_dim;
  pool.max_positions_ = config.max_positions;
  pool.kv_bits_ = kv_bits;
  pool.budget_ = budget_bytes;
  return pool;
}

std::uint64_t PagePool::block_bytes(std::size_t group, int bits) const {
  const kv::PageLayout at = kv::page_layout(head_dim_, bits);
  return static_cast<std::uint64_t>(groups_[group].num_layers * kv_heads_ * (at.key_bytes + at.value_bytes));
}

std::uint64_t PagePool::page_bytes(int bits) const {
  std::uint64_t bytes = 0;
  for (std::size_t group = 0; group < groups_.size(); ++group) bytes += block_bytes(group, bits);
  return bytes;
}

std::uint64_t PagePool::bytes_read(std::int64_t length) const {
  std::uint64_t bytes = 0;
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    const std::int64_t window = groups_[group].window;
    const std::int64_t seen = window == 0 ? length : std::min(length, window);
    const auto pages = static_cast<std::uint64_t>(seen / kPageTokens + 1);
    const std::uint64_t open = kv_bits_ == 4 ? std::min<std::uint64_t>(pages, 2) : pages;
    bytes += open * block_bytes(group, open_bits()) + (pages - open) * block_bytes(group, 4);
  }
  return bytes;
}

std::uint64_t PagePool::free_bytes() const {
  std::uint64_t bytes = budget_ - used_;
  for (std::size_t group = 0; group < groups_.size(); ++group)
    bytes +=
        free_[2 * group].size() * block_bytes(group, open_bits()) + free_[2 * group + 1].size() * block_bytes(group, 4);
  return bytes;
}

// Of slabs, when one sequence grows to so many tokens in an empty pool.
std::uint64_t PagePool::most_bytes(std::int64_t tokens) const {
  std::uint64_t bytes = 0;
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    const std::int64_t blocks = in_whole_slabs(groups_[group].most_pages(tokens));
    // Of 4 bits: pages of a pass, the first and the last are open, in two slabs, which then hold nothing else.
    const std::int64_t open = kv_bits_ == 4 ? std::min(blocks, 2 * kSlabBlocks) : blocks;
    bytes += static_cast<std::uint64_t>(open) * block_bytes(group, open_bits());
    if (kv_bits_ == 4) bytes += static_cast<std::uint64_t>(blocks) * block_bytes(group, 4);
  }
  return bytes;
}

std::int64_t PagePool::most_tokens() const {
  if (groups_.size() > 1 || groups_[0].window > 0) {
    std::int64_t pages = ceil_div(max_positions_, kPageTokens);
    if (most_bytes(pages * kPageTokens) <= budget_) return pages * kPageTokens;
    std::int64_t fits = 0;
    while (pages - fits > 1) {
      const std::int64_t middle = fits + (pages - fits) / 2;
      (most_bytes(middle * kPageTokens) <= budget_ ? fits : pages) = middle;
    }
    return fits * kPageTokens;
  }
  const auto open = static_cast<std::int64_t>(budget_ / page_bytes(open_bits()));
  if (kv_bits_ != 4 || open < 2) return open * kPageTokens;
  // The last page is never full.
  const std::uint64_t pinned = static_cast<std::uint64_t>(std::min(open, 2 * kSlabBlocks)) * page_bytes(8);
  const auto closed = static_cast<std::int64_t>((budget_ - pinned) / page_bytes(4));
  return (closed + 2) * kPageTokens - 1;
}

// Slabs that nobody holds a block of and that are picked; whether there were any.
template <typename Pick>
bool PagePool::give_back_slabs(const Pick& pick) {
  const auto goes = [&](const auto& slab) { return slab->num_held == 0 && pick(*slab); };
  for (std::vector<Block*>& free : free_) std::erase_if(free, [&](const Block* block) { return goes(block->slab); });
  for (const auto& slab : slabs_)
    if (goes(slab)) used_ -= slab->blocks.size() * block_bytes(slab->group, slab->bits);
  return std::erase_if(slabs_, goes) > 0;
}

// Blocks of a new slab become free ones, the first on top.
bool PagePool::add_slab(std::size_t group, int bits) {
  const auto num_left = [&] { return static_cast<std::int64_t>((budget_ - used_) / block_bytes(group, bits)); };
  const auto is_other = [&](const Slab& slab) { return slab.group != group || slab.bits != bits; };
  if (num_left() < kSlabBlocks) give_back_slabs(is_other);
  const std::int64_t count = std::min(kSlabBlocks, num_left());
  if (count == 0) return false;
  Result<sys::HugeBuffer> memory = sys::HugeBuffer::make(kSlabBlocks * block_bytes(group, bits));
  if (!memory.ok()) return false;
  slabs_.push_back(std::make_unique<Slab>(Slab{group, bits, 0, std::move(memory).value(), {}}));
  Slab& slab = *slabs_.back();
  slab.blocks.resize(static_cast<std::size_t>(count));
  used_ += static_cast<std::uint64_t>(count) * block_bytes(group, bits);
  for (std::int64_t index = count; index-- > 0;) {
    Block& block = slab.blocks[static_cast<std::size_t>(index)];
    block = {&slab, index, 0};
    free_blocks(group, bits).push_back(&block);
  }
  return true;
}

PagePool::Block* PagePool::take(std::size_t group, int bits) {
  std::vector<Block*>& free = free_blocks(group, bits);
  if (free.empty() && !add_slab(group, bits)) return nullptr;
  Block* block = free.back();
  free.pop_back();
  block->holders = 1;
  ++block->slab->num_held;
  return block;
}

void PagePool::hold(Block* block) { ++block->holders; }

void PagePool::release(Block* block) {
  QUERNEL_CHECK(block->holders > 0, "a block without holders is released");
  if (--block->holders > 0) return;
  Slab* slab = block->slab;
  free_blocks(slab->group, slab->bits).push_back(block);
  // A slab cut short by the budget would leave a later sequence fewer blocks than most_tokens() counts on.
  if (--slab->num_held == 0 && static_cast<std::int64_t>(slab->blocks.size()) < kSlabBlocks)
    give_back_slabs([slab](const Slab& other) { return &other == slab; });
}

int PagePool::holders(const Block* block) { return block->holders; }

std::int64_t PagePool::num_pages(const Block* block) const {
  return groups_[block->slab->group].num_layers * kv_heads_;
}

// A slab holds, for each layer and head, the key parts of its blocks and then their value parts.
kv::PageBytes PagePool::page(const Block* block, std::int64_t index) const {
  const kv::PageLayout at = kv::page_layout(head_dim_, block->slab->bits);
  auto* slab = reinterpret_cast<std::uint8_t*>(block->slab->memory.data());
  std::uint8_t* start = slab + index * kSlabBlocks * (at.key_bytes + at.value_bytes);
  return {start + block->index * at.key_bytes, start + kSlabBlocks * at.key_bytes + block->index * at.value_bytes};
}

kv::PageBytes PagePool::page(const Block* block, std::int64_t layer, std::int64_t kv_head) const {
  return page(block, places_[static_cast<std::size_t>(layer)].index * kv_heads_ + kv_head);
}

PagePool::Block* PagePool::copy(const Block* block) {
  Block* made = take(block->slab->group, block->slab->bits);
  if (made == nullptr) return nullptr;
  const kv::PageLayout at = kv::page_layout(head_dim_, block->slab->bits);
  for (std::int64_t i = 0; i < num_pages(block); ++i) {
    const kv::PageBytes to = page(made, i);
    const kv::PageBytes from = page(block, i);
    std::memcpy(to.keys, from.keys, static_cast<std::size_t>(at.key_bytes));
    std::memcpy(to.values, from.values, static_cast<std::size_t>(at.value_bytes));
  }
  return made;
}

}  // namespace quernel::engine
