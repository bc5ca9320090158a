// Slices of huge buffers, for many things that live together: each thing alone would leave half of its last huge page resident and empty
// (22 layers of a 1.1B model: 200 MB).
//
// A slice begins at a multiple of 64 bytes, is zeroed, and keeps its buffer alive. What was reserved and never sliced is never touched, so
// it takes addresses and no memory.
//
// Errors   take: out_of_memory with the bytes wanted
// Threads  take: one at a time; slices are independent
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/result.h"
#include "sys/huge_buffer.h"

namespace quernel::sys {

struct HugeSlice {
  std::shared_ptr<HugeBuffer> owner;
  std::byte* data = nullptr;
  std::uint64_t size = 0;
};

class HugeArena {
 public:
  static constexpr std::uint64_t kReserve = std::uint64_t{64} << 20;  // addresses taken at once

  explicit HugeArena(std::uint64_t reserve = kReserve) : reserve_(reserve) {}
  Result<HugeSlice> take(std::uint64_t bytes);

 private:
  std::uint64_t reserve_;
  std::shared_ptr<HugeBuffer> current_;
  std::uint64_t used_ = 0;
};

}  // namespace quernel::sys
