// What kernels are held against: dot products without memory, and memory almost without arithmetic. Included by instruction-set files
// after one simd/i8_*.h.
#pragma once

#include "kernels/packed/packed.h"
#include "kernels/packed/tile_codes.h"

namespace quernel::kernels::packed {
namespace {

using simd::Bytes;
using simd::Ints;
using simd::kIntLanes;

inline float first_lane(Ints a) {
  float lanes[kIntLanes];
  simd::store_reals(lanes, simd::to_reals(a));
  return lanes[0];
}

// Products of small codes, which may go through sums of 16 bits; eight of them a round.
template <int kSums>
QUERNEL_INLINE void spin_round(Ints (&sums)[kSums], const Bytes (&bytes)[kSums]) {
  if constexpr (simd::kWidensByTile) {
    decltype(simd::zero_shorts()) shorts[kSums];
    for (auto& s : shorts) s = simd::zero_shorts();
    for (int j = 0; j < 8; ++j) {
      std::int32_t quad = 0x01010101;
      __asm__ volatile("" : "+r"(quad));  // else one round's products serve all
      for (int i = 0; i < kSums; ++i) shorts[i] = simd::dot_add(shorts[i], bytes[i], quad);
    }
    for (int i = 0; i < kSums; ++i) sums[i] = sums[i] + simd::widen(shorts[i]);
  } else {
    for (int j = 0; j < 8; ++j)
      for (int i = 0; i < kSums; ++i) sums[i] = simd::dot_add(sums[i], bytes[i % 2], 0x01010101);
  }
}

// As many independent sums as hide the latency of a product and fit the registers. Their result is used, so that nothing is left out.
inline std::int64_t run_spin(std::int64_t rounds) {
  constexpr int kSums = simd::kWidensByTile ? 6 : 12;
  alignas(64) std::uint8_t codes[64 * kSums];
  for (int i = 0; i < 64 * kSums; ++i) codes[i] = static_cast<std::uint8_t>((i + i / 64) & 15);
  Bytes bytes[kSums];
  for (int i = 0; i < kSums; ++i) bytes[i] = simd::load_bytes(codes + 64 * i);
  Ints sums[kSums];
  for (Ints& sum : sums) sum = simd::zero_ints();
  for (std::int64_t r = 0; r < rounds; ++r) spin_round(sums, bytes);
  Ints total = simd::zero_ints();
  for (const Ints& sum : sums) total = total + sum;
  const std::int64_t operations = rounds * 8 * kSums * kIntLanes * 4 * 2;
  return first_lane(total) == -1.0F ? 0 : operations;
}

inline std::int64_t run_sweep(const std::uint8_t* from, std::int64_t bytes) {
  constexpr std::int64_t kRegister = 4 * kIntLanes;
  Ints sums[4] = {simd::zero_ints(), simd::zero_ints(), simd::zero_ints(), simd::zero_ints()};
  for (std::int64_t i = 0; i < bytes; i += 4 * kRegister) {
    for (std::int64_t line = 0; line < 4 * kRegister; line += 64) simd::prefetch(from + i + line + kPrefetchAhead);
    for (int r = 0; r < 4; ++r) sums[r] = simd::dot_add(sums[r], simd::load_bytes(from + i + r * kRegister), 1);
  }
  return static_cast<std::int64_t>(first_lane(sums[0] + sums[1] + (sums[2] + sums[3])));
}

}  // namespace
}  // namespace quernel::kernels::packed
