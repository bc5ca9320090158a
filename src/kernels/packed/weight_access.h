// One code, one group of a packed weight, by the layout of packed.h: for the reference and for unpacking.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/packed/packed.h"
#include "kernels/packed/planes.h"
#include "tensor/half.h"

namespace quernel::kernels::packed {

// The byte of a tile that holds these bits of the code of one output and input; in_unit = 4 * output + input % 4.
struct BitsAt {
  std::int64_t byte;
  int shift;
};
constexpr BitsAt bits_at(int plane_bits, std::int64_t plane_start, std::int64_t quad, std::int64_t in_unit) {
  const Place place = place_in_plane(plane_bits, quad);
  return {plane_start + 64 * place.unit + in_unit, place.shift};
}

inline int code_of(const WeightView& w, std::int64_t row, std::int64_t col) {
  const auto [high, low] = planes_of(w.codes);
  const std::int64_t tile = (row / kPanelOutputs) * w.tiles() + col / kTileInputs;
  const std::uint8_t* at = w.code_bytes + tile * tile_bytes(w.codes);
  const std::int64_t quad = (col % kTileInputs) / 4;
  const std::int64_t in_unit = 4 * (row % kPanelOutputs) + col % 4;
  const auto bits = [&](int width, std::int64_t start) {
    const BitsAt place = bits_at(width, start, quad, in_unit);
    return at[place.byte] >> place.shift & ((1 << width) - 1);
  };
  const int code = bits(low, plane_bytes(high)) | (high == 0 ? 0 : bits(high, 0) << low);
  return w.codes == Codes::u4_table ? w.table[code] : code;
}

struct GroupParams {
  int zero = 0;
  int scale = 1;  // two_level
  float real_scale = 0.0F;
  float minimum = 0.0F;  // f16_min, k_min
};

inline float half_at(const std::uint8_t* bytes, std::int64_t index) {
  std::uint16_t bits;
  std::memcpy(&bits, bytes + 2 * index, sizeof bits);
  return f16_to_float(bits);
}

inline GroupParams group_of(const WeightView& w, std::int64_t row, std::int64_t group) {
  const std::uint8_t* panel = w.param_bytes + (row / kPanelOutputs) * w.panel_param_bytes();
  const std::uint8_t* at = panel + w.group_offset(group);
  const std::uint8_t* super = panel + w.super_offset(group);
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
    case Groups::k_scale:
      g.real_scale = half_at(super, lane) * static_cast<float>(static_cast<std::int8_t>(at[lane]));
      g.zero = w.fixed_zero;
      break;
    case Groups::k_min:
      g.real_scale = half_at(super, lane) * static_cast<float>(at[lane]);
      g.minimum = -(half_at(super, kPanelOutputs + lane) * static_cast<float>(at[kPanelOutputs + lane]));
      break;
  }
  return g;
}

}  // namespace quernel::kernels::packed
