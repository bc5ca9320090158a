// Sums that show whether bytes changed by accident, at the speed of memory: XXH3, 64 bits (libxxhash, header only). Not for what an
// adversary may have made: that is base/sha256.
//
// Threads  pure functions
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace quernel {

std::uint64_t checksum64(std::span<const std::byte> bytes);

}  // namespace quernel
