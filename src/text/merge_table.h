// Which two neighbouring tokens merge, how early, and into what.
//
// From merges  rank is the position in the list; a pair named twice keeps the later one, as the reference does
// From scores  every way to cut a token into two tokens is a merge; better scores are earlier, equal scores equal
// Errors       corrupt: a merge of unknown tokens or into one, a score that is not a number
// Cost         16 bytes a slot, at most half full
// Threads      const functions from any thread
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "text/token_index.h"

namespace quernel::text {

constexpr std::uint32_t kNoMerge = 0xFFFFFFFFU;  // later than every rank

struct Merge {
  std::uint32_t rank = kNoMerge;
  std::int32_t result = -1;
};

class MergeTable {
 public:
  static Result<MergeTable> from_merges(const std::vector<std::pair<std::string, std::string>>& merges,
                                        const TokenIndex& index);
  // Characters that only occur inside tokens get ids of their own from tokens.size() on, so that merges can begin with
  // them; `inner` receives them in order of id.
  static Result<MergeTable> from_scores(const std::vector<std::string>& tokens, const std::vector<float>& scores,
                                        const TokenIndex& index, std::vector<std::string>& inner);

  [[nodiscard]] Merge find(std::int32_t left, std::int32_t right) const {
    const std::uint64_t key = key_of(left, right);
    std::size_t slot = place(key);
    while (slots_[slot].merge.result >= 0) {
      if (slots_[slot].key == key) return slots_[slot].merge;
      slot = (slot + 1) & mask_;
    }
    return {};
  }
  [[nodiscard]] std::size_t size() const { return size_; }

  // Calls f(left, right, merge) for each, in no order.
  template <class F>
  void for_each(F&& f) const {
    for (const Slot& slot : slots_) {
      if (slot.merge.result < 0) continue;
      f(static_cast<std::int32_t>(slot.key >> 32U), static_cast<std::int32_t>(slot.key & 0xFFFFFFFFU), slot.merge);
    }
  }

 private:
  struct Slot {
    std::uint64_t key = 0;
    Merge merge;
  };

  explicit MergeTable(std::size_t count);
  static std::uint64_t key_of(std::int32_t left, std::int32_t right) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32U | static_cast<std::uint32_t>(right);
  }
  [[nodiscard]] std::size_t place(std::uint64_t key) const;
  void set(std::int32_t left, std::int32_t right, Merge merge);

  std::vector<Slot> slots_;
  std::size_t mask_ = 0;
  std::size_t size_ = 0;
};

}  // namespace quernel::text
