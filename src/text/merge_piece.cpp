#include "text/merge_piece.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace quernel::text {
namespace {

constexpr std::size_t kShort = 64;
constexpr std::uint32_t kNone = 0xFFFFFFFFU;
constexpr std::int32_t kGone = -1;  // a symbol merged into the one before it

}  // namespace

void MergeScratch::merge(const MergeTable& table, std::vector<std::int32_t>& symbols, std::size_t first) {
  const std::size_t count = symbols.size() - first;
  if (count < 2) return;
  if (count <= kShort) {
    merge_short(table, symbols, first);
  } else {
    merge_long(table, symbols, first);
  }
}

void MergeScratch::merge_short(const MergeTable& table, std::vector<std::int32_t>& symbols, std::size_t first) {
  std::int32_t* ids = symbols.data() + first;
  std::size_t count = symbols.size() - first;
  std::array<Merge, kShort> merges;  // merges[i] joins symbols i and i + 1
  for (std::size_t i = 0; i + 1 < count; ++i) merges[i] = table.find(ids[i], ids[i + 1]);
  while (count > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < count; ++i) {
      if (merges[i].rank < merges[best].rank) best = i;
    }
    if (merges[best].rank == kNoMerge) break;
    ids[best] = merges[best].result;
    std::copy(ids + best + 2, ids + count, ids + best + 1);
    std::copy(merges.begin() + static_cast<std::ptrdiff_t>(best) + 1,
              merges.begin() + static_cast<std::ptrdiff_t>(count) - 1,
              merges.begin() + static_cast<std::ptrdiff_t>(best));
    --count;
    if (best + 1 < count) merges[best] = table.find(ids[best], ids[best + 1]);
    if (best > 0) merges[best - 1] = table.find(ids[best - 1], ids[best]);
  }
  symbols.resize(first + count);
}

void MergeScratch::offer(const MergeTable& table, const std::int32_t* symbols, std::uint32_t at, std::uint32_t next) {
  if (at == kNone || next == kNone) return;
  const Merge merge = table.find(symbols[at], symbols[next]);
  if (merge.rank != kNoMerge) heap_.push_back({merge.rank, at, symbols[at], symbols[next], merge.result});
}

void MergeScratch::merge_long(const MergeTable& table, std::vector<std::int32_t>& symbols, std::size_t first) {
  QUERNEL_CHECK(symbols.size() - first < kNone, "a piece of {} symbols", symbols.size() - first);
  std::int32_t* ids = symbols.data() + first;
  const auto count = static_cast<std::uint32_t>(symbols.size() - first);
  const auto later = [](const Candidate& a, const Candidate& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.at > b.at;
  };
  heap_.clear();
  links_.resize(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    links_[i] = {i == 0 ? kNone : i - 1, i + 1 == count ? kNone : i + 1};
    offer(table, ids, i, links_[i].next);
  }
  std::make_heap(heap_.begin(), heap_.end(), later);
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const Candidate top = heap_.back();
    heap_.pop_back();
    const std::uint32_t right = links_[top.at].next;
    if (ids[top.at] != top.left || right == kNone || ids[right] != top.right) continue;  // one of the two has merged
    ids[top.at] = top.result;
    ids[right] = kGone;
    links_[top.at].next = links_[right].next;
    if (links_[right].next != kNone) links_[links_[right].next].previous = top.at;
    for (const std::uint32_t left : {links_[top.at].previous, top.at}) {
      if (left == kNone) continue;
      const std::size_t before = heap_.size();
      offer(table, ids, left, links_[left].next);
      if (heap_.size() > before) std::push_heap(heap_.begin(), heap_.end(), later);
    }
  }
  const auto gone = std::remove(symbols.begin() + static_cast<std::ptrdiff_t>(first), symbols.end(), kGone);
  symbols.erase(gone, symbols.end());
  constexpr std::size_t kKeep = std::size_t{1} << 16;  // memory of a giant piece is given back
  if (heap_.capacity() > kKeep) heap_ = {};
  if (links_.capacity() > kKeep) links_ = {};
}

}  // namespace quernel::text
