#include "sys/huge_arena.h"

#include <algorithm>
#include <utility>

namespace quernel::sys {
namespace {

constexpr std::uint64_t kBoundary = 64;

}  // namespace

Result<HugeSlice> HugeArena::take(std::uint64_t bytes) {
  const std::uint64_t start = (used_ + kBoundary - 1) / kBoundary * kBoundary;
  const bool fits = current_ != nullptr && start <= current_->size() && bytes <= current_->size() - start;
  if (!fits) {
    QUERNEL_TRY(HugeBuffer buffer, HugeBuffer::make(std::max(bytes, reserve_)));
    current_ = std::make_shared<HugeBuffer>(std::move(buffer));
  }
  const std::uint64_t offset = fits ? start : 0;
  used_ = offset + bytes;
  return HugeSlice{current_, current_->data() + offset, bytes};
}

}  // namespace quernel::sys
