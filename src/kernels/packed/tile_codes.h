// The codes of a tile, quad by quad, whatever their width (layout: packed.h). Included by instruction-set files after one simd/i8_*.h.
#pragma once

#include "kernels/packed/packed.h"
#include "kernels/packed/planes.h"
#include "simd/inline.h"

namespace quernel::kernels::packed {
namespace {

using simd::Bytes;

constexpr int kQuads = 16;  // of a tile
constexpr std::int64_t kUnitBytes = 64;

// Bits of a quad from one plane of `kBits` a code, moved to bit kTo.
template <int kBits, int kQuad, int kTo>
QUERNEL_INLINE Bytes plane_codes(const std::uint8_t* plane) {
  constexpr Place kPlace = place_in_plane(kBits, kQuad);
  constexpr int kMask = ((1 << kBits) - 1) << kTo;
  const Bytes unit = simd::load_bytes(plane + kPlace.unit * kUnitBytes);
  if constexpr (kBits == 8)
    return unit;
  else
    return simd::move_bits<kPlace.shift - kTo, kMask>(unit);
}

// Codes as they are stored; of a table, its entries.
template <Codes kCodes, int kQuad>
QUERNEL_INLINE Bytes codes_of(const std::uint8_t* tile, Bytes table) {
  constexpr Planes kPlanes = planes_of(kCodes);
  const Bytes low = plane_codes<kPlanes.low, kQuad, 0>(tile + plane_bytes(kPlanes.high));
  if constexpr (kPlanes.high > 0) return low | plane_codes<kPlanes.high, kQuad, kPlanes.low>(tile);
  if constexpr (kCodes == Codes::u4_table) return simd::look_up(table, low);
  return low;
}

// The quad that comes at place `index`: all of a unit before the next unit, so that a tile is read from its start to its end. Two
// streams half a kilobyte apart halve the rate at which memory is read (measured).
constexpr int quad_at(Codes codes, int index) {
  const int units = 2 * planes_of(codes).low;
  const int of_unit = kQuads / units;
  return index / of_unit + index % of_unit * units;
}

// Bytes. Memory answers after 150 ns, in which a core reads about 6 KB; 4,096 lost 7 %, 16,384 gained nothing.
constexpr std::int64_t kPrefetchAhead = 8192;

// A tile, and what will be read that much later.
struct TilePlace {
  const std::uint8_t* at;
  const std::uint8_t* ahead;
};

// take(Index, codes of each of kPanels tiles) for quads [kFirst, kEnd). Inlined by force: sums that stay in memory cost two thirds of
// the speed.
template <Codes kCodes, int kFirst, int kEnd, int kPanels, class Take>
QUERNEL_INLINE void for_each_quad(const TilePlace (&tiles)[kPanels], Bytes table, const Take& take) {
  constexpr std::int64_t kLines = tile_bytes(kCodes) / kUnitBytes;
  simd::for_each<kQuads>([&](auto index) QUERNEL_INLINE_LAMBDA {
    constexpr int kIndex = decltype(index)::value;
    constexpr int kQuad = quad_at(kCodes, kIndex);
    if constexpr (kIndex < kLines)
      simd::for_each<kPanels>([&](auto p)
                                  QUERNEL_INLINE_LAMBDA { simd::prefetch(tiles[p].ahead + kIndex * kUnitBytes); });
    if constexpr (kFirst <= kQuad && kQuad < kEnd) {
      Bytes codes[kPanels];
      simd::for_each<kPanels>([&](auto p)
                                  QUERNEL_INLINE_LAMBDA { codes[p] = codes_of<kCodes, kQuad>(tiles[p].at, table); });
      take(simd::Index<kQuad>{}, codes);
    }
  });
}

// How large what is multiplied may be: decides which instructions can.
constexpr int max_code(Codes codes) { return codes == Codes::u4_table ? 255 : (1 << code_bits(codes)) - 1; }
constexpr bool is_tiny(Codes codes) { return max_code(codes) <= 15; }
constexpr bool is_small(Codes codes) { return max_code(codes) <= 127; }

}  // namespace
}  // namespace quernel::kernels::packed
