// The tile operations of AMX that kernels use, by tile number 0 .. 7. Tests put a plain C++ emulation of the same names in
// this header's place (tests/kernels/amx_emulation.h), so that a kernel can be proved on a CPU without AMX.
//
// Written as inline assembly: the intrinsics take literal numbers only, and g++ 12 takes the configuration's intrinsic for a
// read of 8 bytes and drops the stores of the other 56.
#pragma once

#include <cstdint>

namespace quernel::simd {
namespace {  // internal linkage: these copies must not leave an instruction-set file

// Rows of 64 bytes for every tile: 16 x 16 floats or 16 x 32 bf16.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t bytes_per_row[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);

inline void tile_configure(const TileConfig& config) { __asm__ volatile("ldtilecfg %0" : : "m"(config) : "memory"); }
inline void tile_release() { __asm__ volatile("tilerelease" : : : "memory"); }
template <int kTile>
inline void tile_zero() {
  __asm__ volatile("tilezero %%tmm%c0" : : "i"(kTile));
}
template <int kTile>
inline void tile_load(const void* from, std::int64_t stride_bytes) {
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride_bytes), "i"(kTile) : "memory");
}
template <int kTile>
inline void tile_store(void* to, std::int64_t stride_bytes) {
  __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride_bytes), "i"(kTile) : "memory");
}
// kSum [16][16] fp32 += kA [16][32] bf16 * kB [16 pairs][16][2] bf16
template <int kSum, int kA, int kB>
inline void tile_multiply_bf16() {
  __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kA), "i"(kB));
}
// kSum [16][16] int32 += kA [16][64] signed bytes * kB [16 quads][16][4] unsigned bytes
template <int kSum, int kA, int kB>
inline void tile_multiply_s8u8() {
  __asm__ volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kA), "i"(kB));
}

}  // namespace
}  // namespace quernel::simd
