#include "text/piece_cache.h"

#include <algorithm>

namespace quernel::text {

void PieceCache::clear() {
  std::fill(slots_.begin(), slots_.end(), Slot{});
  used_ = 0;
  bytes_.clear();
  ids_.clear();
}

void PieceCache::put(const Slot& slot) {
  std::size_t at = place(slot.hash);
  for (std::size_t step = 0; step < kMaxProbe; ++step) {
    if (slots_[at].id_count == 0) {
      slots_[at] = slot;
      ++used_;
      return;
    }
    at = (at + 1) & (slots_.size() - 1);
  }
}

void PieceCache::grow() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  used_ = 0;
  for (const Slot& slot : old) {
    if (slot.id_count != 0) put(slot);
  }
}

void PieceCache::insert(std::string_view piece, std::uint64_t hash, std::span<const std::int32_t> ids) {
  if (piece.size() > kMaxPieceBytes || ids.size() > piece.size() * 4) return;
  const bool arenas_full = bytes_.size() + piece.size() > kMaxArenaBytes ||
                           (ids_.size() + ids.size()) * sizeof(std::int32_t) > kMaxArenaBytes;
  if (arenas_full || (used_ * 2 >= slots_.size() && slots_.size() == kMaxSlots)) clear();
  if (used_ * 2 >= slots_.size()) grow();
  const Slot slot{hash, static_cast<std::uint32_t>(bytes_.size()), static_cast<std::uint32_t>(ids_.size()),
                  static_cast<std::uint16_t>(piece.size()), static_cast<std::uint16_t>(ids.size())};
  bytes_ += piece;
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  put(slot);
}

}  // namespace quernel::text
