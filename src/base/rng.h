// Counter-based random numbers: Philox4x32-10.
//
// The n-th number depends on (key, stream, n) only, never on what was drawn before, so work can be split over any
// number of threads, stopped and resumed without changing a result.
//
// Source   Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011; golden values of its known-answer
//          test
// Threads  pure functions; CounterRng is a value with a position of its own
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace quernel {

using PhiloxBlock = std::array<std::uint32_t, 4>;

PhiloxBlock philox4x32(PhiloxBlock counter, std::array<std::uint32_t, 2> key);

// A sequence named by (seed, stream). Streams are made from names, so that each tensor has its own numbers.
class CounterRng {
 public:
  CounterRng(std::uint64_t seed, std::uint64_t stream) : seed_(seed), stream_(stream) {}
  CounterRng(std::uint64_t seed, std::string_view stream_name);

  std::uint64_t next_u64();
  std::uint64_t below(std::uint64_t bound);  // 0 <= r < bound, unbiased; bound > 0
  double uniform();                          // [0, 1), 53 bits
  double normal();                           // mean 0, variance 1 (Box-Muller, one draw a call)

 private:
  std::uint64_t seed_;
  std::uint64_t stream_;
  std::uint64_t position_ = 0;  // in units of 64 bits
};

// FNV-1a, 64 bits: names to stream numbers. Not for content hashes (base/sha256.h).
std::uint64_t hash_name(std::string_view name);

}  // namespace quernel
