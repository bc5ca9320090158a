// Where the bits of a code lie in a tile (layout: packed.h).
#pragma once

#include <cstdint>

#include "kernels/packed/packed.h"

namespace quernel::kernels::packed {

// Where a quad's bits lie in a plane of `bits` a code whose units hold 8 / bits quads each, `units` apart.
struct Place {
  std::int64_t unit;
  int shift;
};
constexpr Place place_in_plane(int bits, std::int64_t quad) {
  const int units = 2 * bits;  // 16 quads in all
  return {quad % units, static_cast<int>(quad / units) * bits};
}

// The planes of a tile, as they lie: first the high bits (0: none), then the others.
struct Planes {
  int high;
  int low;
};
constexpr Planes planes_of(Codes codes) {
  switch (codes) {
    case Codes::u3: return {1, 2};
    case Codes::u5: return {1, 4};
    case Codes::u6: return {2, 4};
    default: return {0, code_bits(codes)};
  }
}
constexpr std::int64_t plane_bytes(int bits) { return 128 * bits; }

}  // namespace quernel::kernels::packed
