#include "engine/paged_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/checked.h"

namespace quernel::engine {

namespace kv = kernels::kv_attention;

namespace {

Error used_up(const PagePool& pool) {
  return Error(Fault::limit_exceeded, "the cache of keys and values is full")
      .expect(fmt::format("{} bytes", pool.budget_bytes()), fmt::format("{} bytes in use", pool.used_bytes()))
      .with_hint("a larger --kv-budget, fewer --kv-bits or a shorter context");
}

}  // namespace

PagedCache::PagedCache(PagedCache&& other) noexcept
    : pool_(other.pool_),
      pages_(std::exchange(other.pages_, std::vector<Pages>(other.pages_.size()))),
      length_(std::exchange(other.length_, 0)),
      dropped_(std::exchange(other.dropped_, 0)) {}

PagedCache::~PagedCache() { release_all(); }

PagedCache& PagedCache::operator=(PagedCache&& other) noexcept {
  if (this == &other) return *this;
  release_all();
  pool_ = other.pool_;
  pages_ = std::exchange(other.pages_, std::vector<Pages>(other.pages_.size()));
  length_ = std::exchange(other.length_, 0);
  dropped_ = std::exchange(other.dropped_, 0);
  return *this;
}

void PagedCache::release(Entry& entry) {
  if (entry.open != nullptr) pool_->release(entry.open);
  if (entry.closed != nullptr) pool_->release(entry.closed);
  entry = {};
}

void PagedCache::release_all() {
  for (Pages& pages : pages_) release_from(pages, 0);
}

void PagedCache::release_from(Pages& pages, std::int64_t first) {
  while (static_cast<std::int64_t>(pages.entries.size()) > first) {
    release(pages.entries.back());
    pages.entries.pop_back();
  }
}

void PagedCache::forget(Pages& pages, const LayerGroup& group) {
  const std::int64_t first = group.first_needed(length_) / kPageTokens;
  for (; pages.num_forgotten < first; ++pages.num_forgotten)
    release(pages.entries[static_cast<std::size_t>(pages.num_forgotten)]);
}

void PagedCache::drop(std::int64_t first_page, std::int64_t num_pages) {
  const std::int64_t end = first_page + num_pages;
  QUERNEL_CHECK(first_page >= 0 && num_pages >= 0 && end * kPageTokens <= length_,
                "pages {} to {} of {} tokens dropped", first_page, end, length_);
  QUERNEL_CHECK(pages_.size() == 1 && pool_->groups()[0].window == 0, "pages of a model with windows are dropped");
  std::vector<Entry>& entries = pages_[0].entries;
  const auto first = entries.begin() + static_cast<std::ptrdiff_t>(first_page);
  const auto last = entries.begin() + static_cast<std::ptrdiff_t>(end);
  std::for_each(first, last, [this](Entry& entry) { release(entry); });
  entries.erase(first, last);
  length_ -= num_pages * kPageTokens;
  dropped_ += num_pages * kPageTokens;
}

bool PagedCache::reaches(std::int64_t length) const {
  for (std::size_t group = 0; group < pages_.size(); ++group) {
    const std::int64_t first_seen = std::max<std::int64_t>(0, length + 1 - pool_->groups()[group].window);
    if (first_seen < pages_[group].num_forgotten * kPageTokens) return false;
  }
  return true;
}

Status PagedCache::cut(std::int64_t length) {
  QUERNEL_CHECK(length >= 0 && length <= length_, "a cache of {} tokens cut to {}", length_, length);
  QUERNEL_CHECK(reaches(length), "a cache of {} tokens cut to {}: what they see is forgotten", length_, length);
  for (Pages& pages : pages_) release_from(pages, ceil_div(length, kPageTokens));
  length_ = length;
  for (std::size_t group = 0; group < pages_.size() && length % kPageTokens != 0; ++group) {
    Entry& last = pages_[group].entries.back();
    if (last.open == nullptr) QUERNEL_TRY_STATUS(reopen(last, group, length % kPageTokens));
  }
  return ok_status();
}

Status PagedCache::reopen(Entry& entry, std::size_t group, std::int64_t tokens) {
  PagePool::Block* open = pool_->take(group, pool_->open_bits());
  if (open == nullptr) return used_up(*pool_);
  std::array<float, kv::kMaxHeadDim> key;
  std::array<float, kv::kMaxHeadDim> value;
  for (std::int64_t i = 0; i < pool_->num_pages(open); ++i)
    for (std::int64_t slot = 0; slot < tokens; ++slot) {
      kv::read_token(pool_->page(entry.closed, i), 4, pool_->head_dim(), slot, key.data(), value.data());
      kv::write_token(pool_->page(open, i), 8, pool_->head_dim(), slot, key.data(), value.data());
    }
  pool_->release(std::exchange(entry.closed, nullptr));
  entry.open = open;
  return ok_status();
}

Status PagedCache::make_writable(Entry& entry, std::size_t group) {
  if (entry.open == nullptr) {
    entry.open = pool_->take(group, pool_->open_bits());
  } else if (PagePool::holders(entry.open) > 1) {
    PagePool::Block* own = pool_->copy(entry.open);
    if (own == nullptr) return used_up(*pool_);
    pool_->release(entry.open);
    entry.open = own;
  }
  return entry.open == nullptr ? Status(used_up(*pool_)) : ok_status();
}

Status PagedCache::try_reserve(std::size_t group, std::int64_t end) {
  std::vector<Entry>& entries = pages_[group].entries;
  if (static_cast<std::int64_t>(entries.size()) < ceil_div(end, kPageTokens))
    entries.resize(static_cast<std::size_t>(ceil_div(end, kPageTokens)));
  for (std::int64_t page = length_ / kPageTokens; page * kPageTokens < end; ++page) {
    Entry& entry = entries[static_cast<std::size_t>(page)];
    QUERNEL_TRY_STATUS(make_writable(entry, group));
    const bool fills = pool_->kv_bits() == 4 && page > 0 && (page + 1) * kPageTokens <= end;
    if (fills && entry.closed == nullptr) {
      entry.closed = pool_->take(group, 4);
      if (entry.closed == nullptr) return used_up(*pool_);
    }
  }
  return ok_status();
}

void PagedCache::undo_reserve(Pages& pages) {
  const std::int64_t held = ceil_div(length_, kPageTokens);
  release_from(pages, held);
  // Else a shorter pass that does not fill the page would round it.
  if (length_ % kPageTokens != 0 && pages.entries.back().closed != nullptr)
    pool_->release(std::exchange(pages.entries.back().closed, nullptr));
}

Status PagedCache::reserve(std::int64_t tokens) {
  Status status = ok_status();
  for (std::size_t group = 0; group < pages_.size() && status.ok(); ++group)
    status = try_reserve(group, length_ + tokens);
  if (!status.ok())
    for (Pages& pages : pages_) undo_reserve(pages);
  return status;
}

void PagedCache::commit(std::int64_t tokens) {
  for (Pages& pages : pages_)
    for (std::int64_t page = length_ / kPageTokens; page * kPageTokens < length_ + tokens; ++page) {
      Entry& entry = pages.entries[static_cast<std::size_t>(page)];
      if (entry.closed != nullptr && entry.open != nullptr) pool_->release(std::exchange(entry.open, nullptr));
    }
  length_ += tokens;
  for (std::size_t group = 0; group < pages_.size(); ++group) forget(pages_[group], pool_->groups()[group]);
}

PagedCache PagedCache::fork() const {
  PagedCache twin(*pool_);
  twin.pages_ = pages_;
  twin.length_ = length_;
  twin.dropped_ = dropped_;
  for (const Pages& pages : pages_)
    for (const Entry& entry : pages.entries) {
      if (entry.open != nullptr) PagePool::hold(entry.open);
      if (entry.closed != nullptr) PagePool::hold(entry.closed);
    }
  return twin;
}

kv::PageBytes PagedCache::open_page(std::int64_t page, std::int64_t layer, std::int64_t kv_head) const {
  PagePool::Block* block = entry(page, layer).open;
  return block == nullptr ? kv::PageBytes{} : pool_->page(block, layer, kv_head);
}

kv::PageBytes PagedCache::closed_page(std::int64_t page, std::int64_t layer, std::int64_t kv_head) const {
  PagePool::Block* block = entry(page, layer).closed;
  return block == nullptr ? kv::PageBytes{} : pool_->page(block, layer, kv_head);
}

bool PagedCache::closes(std::int64_t page) const {
  const Entry& entry = pages_[0].entries[static_cast<std::size_t>(page)];
  return entry.open != nullptr && entry.closed != nullptr;
}

}  // namespace quernel::engine
