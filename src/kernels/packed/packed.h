// Products of packed integer weights with rows of INT8 activations: out[m][n] = sum_k x[m][k] w[n][k], the linear layers of the
// integer runtime.
//
// Layout   a weight consists of panels of 16 outputs, a panel of tiles of 64 inputs; outputs and inputs past the end are padding. A tile's
//          16 quads are its inputs 4 q .. 4 q + 3; byte 4 i + b of a unit of 64 bytes belongs to output i, input 4 q + b:
//            u8         16 units, unit q = quad q
//            u4         8 units: unit j holds quad j in its low, quad j + 8 in its high nibbles
//            u2         4 units: bits 2 s of unit j are quad j + 4 s
//            u5, u6     two planes: the fifth bits (2 units: bit s of unit j is quad j + 2 s) or the fifth and sixth (as u2), then u4
//            u3         the third bits (as the fifth above), then u2
//            u4_table   u4, each code stands for an entry of a table of 16 bytes
//            params     of a panel, group by group, for its 16 outputs (Groups below)
//          panels follow each other without a gap; padding inputs meet activations of 0, padding outputs are never stored
// Groups   group g has inputs [g * group_size, (g + 1) * group_size), cut at cols. two_level: byte = z | (s2 - 1) << 4, one row scale
//          an output; f16: 16 half scales, 16 bytes z; f16_fixed: 16 half scales, z the same everywhere; f16_min: 16 half scales, 16 half
//          minima; f32: 16 float scales, 16 bytes z. z is a code: 0 .. 15 or 0 .. 255.
//          Of GGUF's super-blocks of 256 inputs (groups of 16 or 32): k_scale: 16 half d, then for each group 16 bytes s, signed; z the same everywhere;
//          k_min: 16 half d, 16 half dmin, then for each group 16 bytes s, 16 bytes m
// Formula  D = sum code x8, X = sum x8 of the group, both exact in INT32
//          two_level  A = sum over groups of s2 (D - z X), exact;  out = (float)A * (row_scale * x_scale)
//          f16, f32   F = fma((float)(D - z X), scale, F), groups in order;  out = F * x_scale
//          k_scale    the same with scale = d * s, exact in float
//          f16_min    F = fma((float)D, scale, F), then F = fma((float)X, min, F);  out = F * x_scale
//          k_min      the same with scale = d * s, min = -(dmin * m), exact in float
// Exact    all variants agree bit for bit, whatever the number of rows in a call and the range of panels
// Bounds   |D - z X| <= 255 * 127 * K and |A| <= 128 * 127 * K, below 2^31 for K <= kMaxInputs
// Threads  pure functions; callers split panels, each with scratch of its own
// Source   two-level sums: QServe, arXiv 2405.04532, section 4; the unit is what one 512-bit dot-product instruction takes
#pragma once

#include <cstdint>

#include "simd/inline.h"

namespace quernel::kernels::packed {

constexpr std::int64_t kPanelOutputs = 16;
constexpr std::int64_t kTileInputs = 64;
constexpr std::int64_t kSumInputs = 16;      // every group_size is a multiple of it
constexpr std::int64_t kMaxInputs = 65'536;  // 255 * 127 * 65,536 < 2^31

enum class Codes : std::uint8_t { u2, u3, u4, u5, u6, u8, u4_table };
enum class Groups : std::uint8_t { two_level, f16, f16_fixed, f16_min, f32, k_scale, k_min };

constexpr int code_bits(Codes codes) {
  switch (codes) {
    case Codes::u2: return 2;
    case Codes::u3: return 3;
    case Codes::u5: return 5;
    case Codes::u6: return 6;
    case Codes::u8: return 8;
    case Codes::u4:
    case Codes::u4_table: return 4;
  }
  return 0;
}
constexpr std::int64_t tile_bytes(Codes codes) { return 128 * code_bits(codes); }

// Bytes of parameters: of a super-block before its groups (0: there are none), and of each group.
struct ParamBytes {
  std::int64_t super;
  std::int64_t group;
};
constexpr ParamBytes param_bytes_of(Groups groups) {
  switch (groups) {
    case Groups::two_level: return {0, 16};
    case Groups::f16: return {0, 48};
    case Groups::f16_fixed: return {0, 32};
    case Groups::f16_min: return {0, 64};
    case Groups::f32: return {0, 80};
    case Groups::k_scale: return {32, 16};
    case Groups::k_min: return {64, 32};
  }
  return {0, 0};
}
constexpr int super_shift(std::int64_t group_size) {
  return group_size == 16 ? 4 : 3;
}  // 2^shift groups in a super-block
constexpr std::int64_t super_offset(ParamBytes bytes, std::int64_t group_size, std::int64_t group) {
  if (bytes.super == 0) return 0;
  const int shift = super_shift(group_size);
  return (group >> shift) * (bytes.super + (bytes.group << shift));
}
constexpr std::int64_t group_offset(ParamBytes bytes, std::int64_t group_size, std::int64_t group) {
  if (bytes.super == 0) return group * bytes.group;
  const std::int64_t in_super = group & ((1 << super_shift(group_size)) - 1);
  return super_offset(bytes, group_size, group) + bytes.super + in_super * bytes.group;
}

// What kernels know how to multiply; pack() makes nothing else.
constexpr bool is_supported(Codes codes, Groups groups) {
  switch (groups) {
    case Groups::two_level: return codes == Codes::u4;
    case Groups::f16:
    case Groups::f32: return codes == Codes::u2 || codes == Codes::u3 || codes == Codes::u4 || codes == Codes::u8;
    case Groups::f16_fixed: return codes != Codes::u6;
    case Groups::f16_min: return codes == Codes::u4 || codes == Codes::u5 || codes == Codes::u8;
    case Groups::k_scale: return codes == Codes::u3 || codes == Codes::u6 || codes == Codes::u4_table;
    case Groups::k_min: return codes == Codes::u2 || codes == Codes::u4 || codes == Codes::u5;
  }
  return false;
}

// A weight in memory that somebody else owns. Forced inline: no copy of these may leave an instruction-set file.
struct WeightView {
  Codes codes = Codes::u4;
  Groups groups = Groups::two_level;
  std::uint8_t fixed_zero = 0;                // f16_fixed, k_scale
  std::uint8_t table[16] = {};                // u4_table
  std::int64_t rows = 0;                      // outputs
  std::int64_t cols = 0;                      // inputs, 1 .. kMaxInputs
  std::int64_t group_size = 0;                // 16, 32, or a multiple of 64 (one group: 64 * tiles); k_*: 16 or 32
  const std::uint8_t* code_bytes = nullptr;   // [panels, tiles, tile_bytes], at multiples of 64
  const std::uint8_t* param_bytes = nullptr;  // [panels, panel_param_bytes()], at multiples of 16
  const float* row_scales = nullptr;          // two_level: [panels * 16]

  [[nodiscard]] QUERNEL_INLINE std::int64_t panels() const { return (rows + kPanelOutputs - 1) / kPanelOutputs; }
  [[nodiscard]] QUERNEL_INLINE std::int64_t tiles() const { return (cols + kTileInputs - 1) / kTileInputs; }
  [[nodiscard]] QUERNEL_INLINE std::int64_t num_groups() const { return (cols + group_size - 1) / group_size; }
  // Where the parameters of a panel's group begin; those of its super-block.
  [[nodiscard]] QUERNEL_INLINE std::int64_t super_offset(std::int64_t group) const {
    return packed::super_offset(param_bytes_of(groups), group_size, group);
  }
  [[nodiscard]] QUERNEL_INLINE std::int64_t group_offset(std::int64_t group) const {
    return packed::group_offset(param_bytes_of(groups), group_size, group);
  }
  [[nodiscard]] QUERNEL_INLINE std::int64_t panel_param_bytes() const {
    return group_offset(num_groups() - 1) + param_bytes_of(groups).group;
  }
};

// Rows of INT8 activations in memory that somebody else owns.
struct RowsView {
  const std::int8_t* codes = nullptr;    // [num_rows, stride], -127 .. 127, 0 past the inputs
  const float* scales = nullptr;         // [num_rows]
  const std::int32_t* sums = nullptr;    // [num_rows, sums_stride]: of sum_inputs codes each
  const std::int32_t* totals = nullptr;  // [num_rows]: of all codes
  std::int64_t stride = 0;               // a multiple of 64
  std::int64_t sums_stride = 0;
  std::int64_t sum_inputs = kSumInputs;  // divides the group_size of every weight that meets these rows
  std::int64_t num_rows = 0;
};

struct Args {
  WeightView weight;
  RowsView x;
  std::int64_t first_panel = 0;
  std::int64_t end_panel = 0;
  float* out = nullptr;  // row m, output n: out[m * out_stride + n], of all outputs, not of the range
  std::int64_t out_stride = 0;
  std::uint8_t* scratch = nullptr;  // scratch_bytes(), at a multiple of 64; of this call alone
};
using Run = void (*)(const Args& args) noexcept;

// Dot-product instructions and nothing else, for the limit that speeds are held against; returns multiplications and additions done.
using Spin = std::int64_t (*)(std::int64_t rounds) noexcept;
// Reads `bytes` (a multiple of 256) and hardly more; returns something that depends on them.
using Sweep = std::int64_t (*)(const std::uint8_t* from, std::int64_t bytes) noexcept;

// Bytes of scratch that a call on this weight may need, 0 where few rows alone are computed.
std::int64_t scratch_bytes(const WeightView& weight);

// The best variant this process may use. Sums of the same bits by every variant.
void run(const Args& args);

}  // namespace quernel::kernels::packed
