#include "base/rng.h"

#include <cmath>
#include <numbers>

#include "base/check.h"

namespace quernel {

namespace {

constexpr std::uint32_t kMultiplier0 = 0xD2511F53;
constexpr std::uint32_t kMultiplier1 = 0xCD9E8D57;
constexpr std::uint32_t kWeyl0 = 0x9E3779B9;  // golden ratio
constexpr std::uint32_t kWeyl1 = 0xBB67AE85;  // sqrt(3) - 1
constexpr int kRounds = 10;

constexpr std::uint32_t low32(std::uint64_t value) { return static_cast<std::uint32_t>(value & 0xFFFFFFFFu); }
constexpr std::uint32_t high32(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); }

}  // namespace

PhiloxBlock philox4x32(PhiloxBlock counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < kRounds; ++round) {
    const std::uint64_t p0 = std::uint64_t{kMultiplier0} * counter[0];
    const std::uint64_t p1 = std::uint64_t{kMultiplier1} * counter[2];
    counter = {high32(p1) ^ counter[1] ^ key[0], low32(p1), high32(p0) ^ counter[3] ^ key[1], low32(p0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

CounterRng::CounterRng(std::uint64_t seed, std::string_view stream_name) : CounterRng(seed, hash_name(stream_name)) {}

std::uint64_t CounterRng::next_u64() {
  const std::uint64_t block_index = position_ / 2;
  const PhiloxBlock block = philox4x32({low32(block_index), high32(block_index), low32(stream_), high32(stream_)},
                                       {low32(seed_), high32(seed_)});
  const std::size_t half = (position_ % 2) * 2;
  ++position_;
  return std::uint64_t{block[half + 1]} << 32 | block[half];
}

std::uint64_t CounterRng::below(std::uint64_t bound) {
  QUERNEL_CHECK(bound > 0);
  const std::uint64_t reject_under = (0 - bound) % bound;  // 2^64 mod bound
  std::uint64_t draw = next_u64();
  while (draw < reject_under) draw = next_u64();
  return draw % bound;
}

double CounterRng::uniform() { return static_cast<double>(next_u64() >> 11) * 0x1.0p-53; }

double CounterRng::normal() {
  const double radius = std::sqrt(-2.0 * std::log1p(-uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

std::uint64_t hash_name(std::string_view name) {
  std::uint64_t hash = 0xCBF29CE484222325;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return hash;
}

}  // namespace quernel
