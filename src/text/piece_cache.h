// Pieces seen before and their ids. Bounded; forgets everything when full, which costs less than to remember an order.
//
// Cost     up to 65,536 pieces, 4 MiB of their bytes and ids; grows as it fills
// Threads  one owner at a time
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/hashing.h"

namespace quernel::text {

class PieceCache {
 public:
  static constexpr std::size_t kMaxPieceBytes = 128;  // longer pieces rarely come twice

  PieceCache() : slots_(kFirstSlots) {}

  // The ids of the piece, or an empty span. Valid until the next insert.
  [[nodiscard]] std::span<const std::int32_t> find(std::string_view piece, std::uint64_t hash) const {
    std::size_t slot = place(hash);
    for (std::size_t step = 0; step < kMaxProbe; ++step) {
      const Slot& here = slots_[slot];
      if (here.id_count == 0) return {};
      if (here.hash == hash && std::string_view(bytes_).substr(here.bytes_at, here.byte_count) == piece) {
        return {ids_.data() + here.ids_at, here.id_count};
      }
      slot = (slot + 1) & (slots_.size() - 1);
    }
    return {};
  }

  // ids is not empty; pieces that find() did not give only.
  void insert(std::string_view piece, std::uint64_t hash, std::span<const std::int32_t> ids);

 private:
  struct Slot {
    std::uint64_t hash = 0;
    std::uint32_t bytes_at = 0;
    std::uint32_t ids_at = 0;
    std::uint16_t byte_count = 0;
    std::uint16_t id_count = 0;  // 0: free
  };

  static constexpr std::size_t kFirstSlots = std::size_t{1} << 10;
  static constexpr std::size_t kMaxSlots = std::size_t{1} << 17;
  static constexpr std::size_t kMaxArenaBytes = std::size_t{1} << 21;
  static constexpr std::size_t kMaxProbe = 32;  // pieces made to collide cost this much, not the whole table

  [[nodiscard]] std::size_t place(std::uint64_t hash) const {
    return static_cast<std::size_t>(hash >> 20U) & (slots_.size() - 1);
  }
  void clear();
  void grow();
  void put(const Slot& slot);

  std::vector<Slot> slots_;
  std::size_t used_ = 0;
  std::string bytes_;
  std::vector<std::int32_t> ids_;
};

}  // namespace quernel::text
