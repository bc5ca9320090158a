// The tile operations of simd/amx_tiles.h in plain C++, for proving kernels where there is no AMX.
// As the instruction: pairs of products one after the other, bf16 subnormals count as zero. It also refuses what real tiles
// would fault on: work before the configuration, or after its release.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "base/check.h"
#include "kernels/tile_fault.h"

namespace quernel::simd {
namespace {

struct TileConfig {};

struct EmulatedTiles {
  bool configured = false;
  std::array<std::array<std::uint8_t, 1024>, 8> bytes{};

  std::uint8_t* tile(int index) {
    QUERNEL_CHECK(configured, "a tile operation without a configuration");
    return bytes[static_cast<std::size_t>(index)].data();
  }
};
inline EmulatedTiles& emulated_tiles() {
  thread_local EmulatedTiles tiles;
  return tiles;
}

inline TileFault& tile_fault() {
  static TileFault fault = TileFault::none;
  return fault;
}

inline void tile_configure(const TileConfig&) {
  emulated_tiles() = {};
  emulated_tiles().configured = true;
}
inline void tile_release() { emulated_tiles().configured = false; }
template <int kTile>
void tile_zero() {
  std::memset(emulated_tiles().tile(kTile), 0, 1024);
}
template <int kTile>
void tile_load(const void* from, std::int64_t stride_bytes) {
  for (std::int64_t row = 0; row < 16; ++row)
    std::memcpy(emulated_tiles().tile(kTile) + row * 64, static_cast<const std::uint8_t*>(from) + row * stride_bytes,
                64);
}
template <int kTile>
void tile_store(void* to, std::int64_t stride_bytes) {
  for (std::int64_t row = 0; row < 16; ++row)
    std::memcpy(static_cast<std::uint8_t*>(to) + row * stride_bytes, emulated_tiles().tile(kTile) + row * 64, 64);
}
inline float emulated_bf16(const std::uint8_t* from) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, from, sizeof(bits));
  const float value = std::bit_cast<float>(std::uint32_t{bits} << 16);
  return (bits & 0x7F80) == 0 ? 0.0F : value;
}
template <int kSum, int kA, int kB>
void tile_multiply_bf16() {
  std::array<float, 256> sums;
  std::memcpy(sums.data(), emulated_tiles().tile(kSum), 1024);
  for (int m = 0; m < 16; ++m)
    for (int k = 0; k < 32; ++k)
      for (int n = 0; n < 16; ++n)
        sums[static_cast<std::size_t>(16 * m + n)] +=
            emulated_bf16(emulated_tiles().tile(kA) + 64 * m + 2 * k) *
            emulated_bf16(emulated_tiles().tile(kB) + 64 * (k / 2) + 4 * n + 2 * (k % 2));
  std::memcpy(emulated_tiles().tile(kSum), sums.data(), 1024);
}
template <int kSum, int kA, int kB>
void tile_multiply_s8u8() {
  std::array<std::int32_t, 256> sums;
  std::memcpy(sums.data(), emulated_tiles().tile(kSum), 1024);
  const auto product = [](int m, int k, int n) {
    const std::uint8_t weight = emulated_tiles().tile(kB)[64 * (k / 4) + 4 * n + k % 4];
    const bool is_signed = tile_fault() == TileFault::signed_weights;
    return static_cast<std::int8_t>(emulated_tiles().tile(kA)[64 * m + k]) *
           (is_signed ? static_cast<int>(static_cast<std::int8_t>(weight)) : static_cast<int>(weight));
  };
  const int end = tile_fault() == TileFault::lost_quad ? 60 : 64;
  for (int m = 0; m < 16; ++m)
    for (int k = 0; k < end; k += 2)
      for (int n = 0; n < 16; ++n) {
        int pair = product(m, k, n) + product(m, k + 1, n);
        if (tile_fault() == TileFault::pairs_of_16_bits) pair = std::clamp(pair, -32768, 32767);
        sums[static_cast<std::size_t>(16 * m + n)] += pair;
      }
  std::memcpy(emulated_tiles().tile(kSum), sums.data(), 1024);
}

}  // namespace
}  // namespace quernel::simd
