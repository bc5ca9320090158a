// Products of packed integer weights with rows of INT8 activations: out[m][n] = sum_k x[m][k] w[n][k], the linear layers of the
// integer runtime.
//
// Layout   a weight consists of panels of 16 outputs, a panel of tiles of 64 inputs; outputs and inputs past the end are padding:
//            codes u4   a tile has 8 units of 64 bytes: byte 4 i + b of unit j holds in its low nibble the code of output i, input
//                       4 j + b, in its high nibble that of input 4 (j + 8) + b
//            codes u8   16 units: byte 4 i + b of unit j is the code of output i, input 4 j + b
//            params     of a panel, group by group, for its 16 outputs (Groups below)
//          panels follow each other without a gap; padding inputs meet activations of 0, padding outputs are never stored
// Groups   group g has inputs [g * group_size, (g + 1) * group_size), cut at cols. two_level: byte = z | (s2 - 1) << 4, one row scale
//          an output; f16: 16 half scales, 16 bytes z; f16_fixed: 16 half scales, z the same everywhere; f16_min: 16 half scales, 16 half
//          minima; f32: 16 float scales, 16 bytes z. z is a code: 0 .. 15 or 0 .. 255
// Formula  D = sum code x8, X = sum x8 of the group, both exact in INT32
//          two_level  A = sum over groups of s2 (D - z X), exact;  out = (float)A * (row_scale * x_scale)
//          f16, f32   F = fma((float)(D - z X), scale, F), groups in order;  out = F * x_scale
//          f16_min    F = fma((float)D, scale, F), then F = fma((float)X, min, F);  out = F * x_scale
// Exact    all variants agree bit for bit, whatever the number of rows in a call and the range of panels
// Bounds   |D - z X| <= 255 * 127 * K and |A| <= 128 * 127 * K, below 2^31 for K <= kMaxInputs
// Threads  pure functions; callers split panels, each with scratch of its own
// Source   two-level sums: QServe, arXiv 2405.04532, section 4; the unit is what one 512-bit dot-product instruction takes
#pragma once

#include <cstdint>

namespace quernel::kernels::packed {

constexpr std::int64_t kPanelOutputs = 16;
constexpr std::int64_t kTileInputs = 64;
constexpr std::int64_t kSumInputs = 32;  // activations' sums are kept for so many inputs; groups are multiples of it
constexpr std::int64_t kMaxInputs = 65'536;  // 255 * 127 * 65,536 < 2^31

enum class Codes : std::uint8_t { u4, u8 };
enum class Groups : std::uint8_t { two_level, f16, f16_fixed, f16_min, f32 };

constexpr std::int64_t tile_bytes(Codes codes) { return codes == Codes::u4 ? 512 : 1024; }
constexpr std::int64_t group_bytes(Groups groups) {
  switch (groups) {
    case Groups::two_level: return 16;
    case Groups::f16: return 48;
    case Groups::f16_fixed: return 32;
    case Groups::f16_min: return 64;
    case Groups::f32: return 80;
  }
  return 0;
}

// A weight in memory that somebody else owns.
struct WeightView {
  Codes codes = Codes::u4;
  Groups groups = Groups::two_level;
  std::uint8_t fixed_zero = 0;                // f16_fixed
  std::int64_t rows = 0;                      // outputs
  std::int64_t cols = 0;                      // inputs, 1 .. kMaxInputs
  std::int64_t group_size = 0;                // 32, or a multiple of 64 (one group: 64 * tiles)
  const std::uint8_t* code_bytes = nullptr;   // [panels, tiles, tile_bytes], at multiples of 64
  const std::uint8_t* param_bytes = nullptr;  // [panels, num_groups, group_bytes], at multiples of 16
  const float* row_scales = nullptr;          // two_level: [panels * 16]

  [[nodiscard]] std::int64_t panels() const { return (rows + kPanelOutputs - 1) / kPanelOutputs; }
  [[nodiscard]] std::int64_t tiles() const { return (cols + kTileInputs - 1) / kTileInputs; }
  [[nodiscard]] std::int64_t num_groups() const { return (cols + group_size - 1) / group_size; }
};

// Rows of INT8 activations in memory that somebody else owns.
struct RowsView {
  const std::int8_t* codes = nullptr;  // [num_rows, stride], -127 .. 127, 0 past the inputs
  const float* scales = nullptr;       // [num_rows]
  const std::int32_t* sums = nullptr;  // [num_rows, stride / 32]: of 32 codes
  std::int64_t stride = 0;             // a multiple of 64
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
