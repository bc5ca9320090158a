#include "engine/kv_pages.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/checked.h"

namespace quernel::engine {

namespace kv = kernels::kv_attention;

struct PagePool::Block {
  Slab* slab = nullptr;
  std::int64_t index = 0;  // within the slab
  int holders = 0;
};

namespace {

constexpr std::int64_t kSlabBlocks = 16;

}  // namespace

struct PagePool::Slab {
  int bits = 0;
  std::int64_t num_held = 0;  // blocks
  sys::HugeBuffer memory;
  std::vector<Block> blocks;  // kSlabBlocks, or what the budget still had
};

PagePool::PagePool() = default;
PagePool::~PagePool() = default;
PagePool::PagePool(PagePool&&) noexcept = default;
PagePool& PagePool::operator=(PagePool&&) noexcept = default;

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
  pool.layers_ = config.num_layers;
  pool.kv_heads_ = config.num_kv_heads;
  pool.head_dim_ = config.head_dim;
  pool.kv_bits_ = kv_bits;
  pool.budget_ = budget_bytes;
  return pool;
}

std::uint64_t PagePool::block_bytes(int bits) const {
  const kv::PageLayout at = kv::page_layout(head_dim_, bits);
  return static_cast<std::uint64_t>(layers_ * kv_heads_ * (at.key_bytes + at.value_bytes));
}

std::uint64_t PagePool::bytes_read(std::int64_t length) const {
  const auto pages = static_cast<std::uint64_t>(length / kPageTokens + 1);
  if (kv_bits_ != 4) return pages * block_bytes(kv_bits_);
  const std::uint64_t open = std::min<std::uint64_t>(pages, 2);
  return open * block_bytes(8) + (pages - open) * block_bytes(4);
}

std::uint64_t PagePool::free_bytes() const {
  return budget_ - used_ + free_[0].size() * block_bytes(open_bits()) + free_[1].size() * block_bytes(4);
}

std::int64_t PagePool::most_tokens() const {
  const auto open = static_cast<std::int64_t>(budget_ / block_bytes(open_bits()));
  if (kv_bits_ != 4 || open < 2) return open * kPageTokens;
  // The two open pages may lie in two slabs, which then hold nothing else; the last page is never full.
  const std::uint64_t pinned = static_cast<std::uint64_t>(std::min(open, 2 * kSlabBlocks)) * block_bytes(8);
  const auto closed = static_cast<std::int64_t>((budget_ - pinned) / block_bytes(4));
  return (closed + 2) * kPageTokens - 1;
}

// Slabs of blocks of other bits that nobody holds; whether there were any.
bool PagePool::give_back_slabs(int bits) {
  const auto is_idle = [bits](const auto& slab) { return slab->num_held == 0 && slab->bits != bits; };
  for (std::vector<Block*>& free : free_) std::erase_if(free, [&](const Block* block) { return is_idle(block->slab); });
  for (const auto& slab : slabs_)
    if (is_idle(slab)) used_ -= slab->blocks.size() * block_bytes(slab->bits);
  return std::erase_if(slabs_, is_idle) > 0;
}

// Blocks of a new slab become free ones, the first on top.
bool PagePool::add_slab(int bits) {
  auto left = static_cast<std::int64_t>((budget_ - used_) / block_bytes(bits));
  if (left == 0 && give_back_slabs(bits)) left = static_cast<std::int64_t>((budget_ - used_) / block_bytes(bits));
  const std::int64_t count = std::min(kSlabBlocks, left);
  if (count == 0) return false;
  Result<sys::HugeBuffer> memory = sys::HugeBuffer::make(kSlabBlocks * block_bytes(bits));
  if (!memory.ok()) return false;
  slabs_.push_back(std::make_unique<Slab>(Slab{bits, 0, std::move(memory).value(), {}}));
  Slab& slab = *slabs_.back();
  slab.blocks.resize(static_cast<std::size_t>(count));
  used_ += static_cast<std::uint64_t>(count) * block_bytes(bits);
  for (std::int64_t index = count; index-- > 0;) {
    Block& block = slab.blocks[static_cast<std::size_t>(index)];
    block = {&slab, index, 0};
    free_[bits == 4 ? 1 : 0].push_back(&block);
  }
  return true;
}

PagePool::Block* PagePool::take(int bits) {
  std::vector<Block*>& free = free_[bits == 4 ? 1 : 0];
  if (free.empty() && !add_slab(bits)) return nullptr;
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
  --block->slab->num_held;
  free_[block->slab->bits == 4 ? 1 : 0].push_back(block);
}

int PagePool::holders(const Block* block) { return block->holders; }

// A slab holds, for each layer and head, the key parts of its blocks and then their value parts.
kv::PageBytes PagePool::page(const Block* block, std::int64_t layer, std::int64_t kv_head) const {
  const kv::PageLayout at = kv::page_layout(head_dim_, block->slab->bits);
  auto* slab = reinterpret_cast<std::uint8_t*>(block->slab->memory.data());
  std::uint8_t* start = slab + (layer * kv_heads_ + kv_head) * kSlabBlocks * (at.key_bytes + at.value_bytes);
  return {start + block->index * at.key_bytes, start + kSlabBlocks * at.key_bytes + block->index * at.value_bytes};
}

PagePool::Block* PagePool::copy(const Block* block) {
  Block* made = take(block->slab->bits);
  if (made == nullptr) return nullptr;
  const kv::PageLayout at = kv::page_layout(head_dim_, block->slab->bits);
  for (std::int64_t i = 0; i < pages_per_block(); ++i) {
    const kv::PageBytes to = page(made, 0, i);
    const kv::PageBytes from = page(block, 0, i);
    std::memcpy(to.keys, from.keys, static_cast<std::size_t>(at.key_bytes));
    std::memcpy(to.values, from.values, static_cast<std::size_t>(at.value_bytes));
  }
  return made;
}

PagedCache::PagedCache(PagedCache&& other) noexcept
    : pool_(other.pool_),
      entries_(std::exchange(other.entries_, {})),
      length_(std::exchange(other.length_, 0)),
      dropped_(std::exchange(other.dropped_, 0)) {}

PagedCache::~PagedCache() {
  for (Entry& entry : entries_) release(entry);
}

PagedCache& PagedCache::operator=(PagedCache&& other) noexcept {
  if (this == &other) return *this;
  for (Entry& entry : entries_) release(entry);
  pool_ = other.pool_;
  entries_ = std::exchange(other.entries_, {});
  length_ = std::exchange(other.length_, 0);
  dropped_ = std::exchange(other.dropped_, 0);
  return *this;
}

void PagedCache::release(Entry& entry) {
  if (entry.open != nullptr) pool_->release(entry.open);
  if (entry.closed != nullptr) pool_->release(entry.closed);
  entry = {};
}

namespace {

Error used_up(const PagePool& pool) {
  return Error(Fault::limit_exceeded, "the cache of keys and values is full")
      .expect(fmt::format("{} bytes", pool.budget_bytes()), fmt::format("{} bytes in use", pool.used_bytes()))
      .with_hint("a larger --kv-budget, fewer --kv-bits or a shorter context");
}

}  // namespace

Status PagedCache::reopen(Entry& entry, std::int64_t tokens) {
  PagePool::Block* open = pool_->take(pool_->open_bits());
  if (open == nullptr) return used_up(*pool_);
  std::array<float, kv::kMaxHeadDim> key;
  std::array<float, kv::kMaxHeadDim> value;
  for (std::int64_t i = 0; i < pool_->pages_per_block(); ++i)
    for (std::int64_t slot = 0; slot < tokens; ++slot) {
      kv::read_token(pool_->page(entry.closed, 0, i), 4, pool_->head_dim(), slot, key.data(), value.data());
      kv::write_token(pool_->page(open, 0, i), 8, pool_->head_dim(), slot, key.data(), value.data());
    }
  pool_->release(std::exchange(entry.closed, nullptr));
  entry.open = open;
  return ok_status();
}

void PagedCache::drop(std::int64_t first_page, std::int64_t num_pages) {
  const std::int64_t end = first_page + num_pages;
  QUERNEL_CHECK(first_page >= 0 && num_pages >= 0 && end * kPageTokens <= length_,
                "pages {} to {} of {} tokens dropped", first_page, end, length_);
  const auto first = entries_.begin() + static_cast<std::ptrdiff_t>(first_page);
  const auto last = entries_.begin() + static_cast<std::ptrdiff_t>(end);
  std::for_each(first, last, [this](Entry& entry) { release(entry); });
  entries_.erase(first, last);
  length_ -= num_pages * kPageTokens;
  dropped_ += num_pages * kPageTokens;
}

Status PagedCache::cut(std::int64_t length) {
  QUERNEL_CHECK(length >= 0 && length <= length_, "a cache of {} tokens cut to {}", length_, length);
  const std::int64_t pages = ceil_div(length, kPageTokens);
  while (static_cast<std::int64_t>(entries_.size()) > pages) {
    release(entries_.back());
    entries_.pop_back();
  }
  length_ = length;
  if (length % kPageTokens != 0 && entries_.back().open == nullptr)
    return reopen(entries_.back(), length % kPageTokens);
  return ok_status();
}

Status PagedCache::make_writable(Entry& entry) {
  if (entry.open == nullptr) {
    entry.open = pool_->take(pool_->open_bits());
  } else if (PagePool::holders(entry.open) > 1) {
    PagePool::Block* own = pool_->copy(entry.open);
    if (own != nullptr) {
      pool_->release(entry.open);
      entry.open = own;
    } else {
      return used_up(*pool_);
    }
  }
  return entry.open == nullptr ? Status(used_up(*pool_)) : ok_status();
}

Status PagedCache::try_reserve(std::int64_t end) {
  if (static_cast<std::int64_t>(entries_.size()) < ceil_div(end, kPageTokens))
    entries_.resize(static_cast<std::size_t>(ceil_div(end, kPageTokens)));
  for (std::int64_t page = length_ / kPageTokens; page * kPageTokens < end; ++page) {
    Entry& entry = entries_[static_cast<std::size_t>(page)];
    QUERNEL_TRY_STATUS(make_writable(entry));
    const bool fills = pool_->kv_bits() == 4 && page > 0 && (page + 1) * kPageTokens <= end;
    if (fills && entry.closed == nullptr) {
      entry.closed = pool_->take(4);
      if (entry.closed == nullptr) return used_up(*pool_);
    }
  }
  return ok_status();
}

Status PagedCache::reserve(std::int64_t tokens) {
  Status status = try_reserve(length_ + tokens);
  if (status.ok()) return status;
  const auto pages = static_cast<std::size_t>(ceil_div(length_, kPageTokens));
  while (entries_.size() > pages) {
    release(entries_.back());
    entries_.pop_back();
  }
  // Else a shorter pass that does not fill the page would round it.
  if (length_ % kPageTokens != 0 && entries_.back().closed != nullptr)
    pool_->release(std::exchange(entries_.back().closed, nullptr));
  return status;
}

void PagedCache::commit(std::int64_t tokens) {
  for (std::int64_t page = length_ / kPageTokens; page * kPageTokens < length_ + tokens; ++page) {
    Entry& entry = entries_[static_cast<std::size_t>(page)];
    if (entry.closed != nullptr && entry.open != nullptr) pool_->release(std::exchange(entry.open, nullptr));
  }
  length_ += tokens;
}

PagedCache PagedCache::fork() const {
  PagedCache twin(*pool_);
  twin.entries_ = entries_;
  twin.length_ = length_;
  twin.dropped_ = dropped_;
  for (const Entry& entry : entries_) {
    if (entry.open != nullptr) PagePool::hold(entry.open);
    if (entry.closed != nullptr) PagePool::hold(entry.closed);
  }
  return twin;
}

kv::PageBytes PagedCache::open_page(std::int64_t page, std::int64_t layer, std::int64_t kv_head) const {
  PagePool::Block* block = entries_[static_cast<std::size_t>(page)].open;
  return block == nullptr ? kv::PageBytes{} : pool_->page(block, layer, kv_head);
}

kv::PageBytes PagedCache::closed_page(std::int64_t page, std::int64_t layer, std::int64_t kv_head) const {
  PagePool::Block* block = entries_[static_cast<std::size_t>(page)].closed;
  return block == nullptr ? kv::PageBytes{} : pool_->page(block, layer, kv_head);
}

bool PagedCache::closes(std::int64_t page) const {
  const Entry& entry = entries_[static_cast<std::size_t>(page)];
  return entry.open != nullptr && entry.closed != nullptr;
}

}  // namespace quernel::engine
