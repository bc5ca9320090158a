// Hashes for the tables of the tokenizer: fast, not for content addresses (base/sha256.h).
//
// Threads  pure functions
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace quernel::text {

// Both halves of a 128-bit product folded: every input bit reaches every output bit.
inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}

constexpr std::uint64_t kHashA = 0x9E3779B97F4A7C15U;  // 2^64 / golden ratio, odd
constexpr std::uint64_t kHashB = 0xD6E8FEB86659FD93U;

inline std::uint64_t hash_number(std::uint64_t value) { return mix(value ^ kHashA, kHashB); }

inline std::uint64_t hash_bytes(std::string_view bytes) {
  std::uint64_t state = kHashA ^ bytes.size();
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  while (left >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    state = mix(state ^ word, kHashB);
    at += 8;
    left -= 8;
  }
  std::uint64_t word = 0;
  std::memcpy(&word, at, left);
  return mix(state ^ word, kHashA);
}

}  // namespace quernel::text
