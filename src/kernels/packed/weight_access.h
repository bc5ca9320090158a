// One code, one group of a packed weight, by the layout of packed.h: for the reference and for unpacking.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/packed/packed.h"
#include "tensor/half.h"

namespace quernel::kernels::packed {

inline int code_of(const WeightView& w, std::int64_t row, std::int64_t col) {
  const std::int64_t tile = (row / kPanelOutputs) * w.tiles() + col / kTileInputs;
  const std::int64_t quad = (col % kTileInputs) / 4;
  const std::int64_t in_unit = 4 * (row % kPanelOutputs) + col % 4;
  const std::uint8_t* at = w.code_bytes + tile * tile_bytes(w.codes);
  if (w.codes == Codes::u8) return at[quad * 64 + in_unit];
  const std::uint8_t both = at[(quad % 8) * 64 + in_unit];
  return quad < 8 ? both & 15 : both >> 4;
}

struct GroupParams {
  int zero = 0;
  int scale = 1;  // two_level
  float real_scale = 0.0F;
  float minimum = 0.0F;  // f16_min
};

inline float half_at(const std::uint8_t* bytes, std::int64_t index) {
  std::uint16_t bits;
  std::memcpy(&bits, bytes + 2 * index, sizeof bits);
  return f16_to_float(bits);
}

inline GroupParams group_of(const WeightView& w, std::int64_t row, std::int64_t group) {
  const std::uint8_t* at = w.param_bytes + ((row / kPanelOutputs) * w.num_groups() + group) * group_bytes(w.groups);
  const std::int64_t lane = row % kPanelOutputs;
  GroupParams g;
  switch (w.groups) {
    case Groups::two_level:
      g.zero = at[lane] & 15;
      g.scale = (at[lane] >> 4) + 1;
      break;
    case Groups::f16:
      g.real_scale = half_at(at, lane);
      g.zero = at[32 + lane];
      break;
    case Groups::f16_fixed:
      g.real_scale = half_at(at, lane);
      g.zero = w.fixed_zero;
      break;
    case Groups::f16_min:
      g.real_scale = half_at(at, lane);
      g.minimum = half_at(at, kPanelOutputs + lane);
      break;
    case Groups::f32:
      std::memcpy(&g.real_scale, at + 4 * lane, sizeof g.real_scale);
      g.zero = at[64 + lane];
      break;
  }
  return g;
}

}  // namespace quernel::kernels::packed
