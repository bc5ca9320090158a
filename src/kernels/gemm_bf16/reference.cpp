// Plain C++: packs by rounding to nearest even, multiplies tile by tile in fp32. The judge of the other variants.
#include <bit>

#include "kernels/gemm_bf16/entries.h"

namespace quernel::kernels::gemm_bf16::reference {

namespace {

// Subnormal numbers become 0, as the instructions do.
std::uint16_t narrow(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  if ((bits & 0x7F800000u) == 0) return static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  return static_cast<std::uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}
std::uint16_t narrow(std::uint16_t bits) { return bits; }
float widen(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

std::int64_t position_in_a(std::int64_t lane, std::int64_t k) {
  return k / kTileDepth * kTileElements + lane * kTileDepth + k % kTileDepth;
}
std::int64_t position_in_b(std::int64_t lane, std::int64_t k) {
  return k / kTileDepth * kTileElements + k % kTileDepth / 2 * (2 * kPanel) + 2 * lane + k % 2;
}

template <class Source, class Position>
void pack(const PackArgs& args, std::int64_t lane_stride, std::int64_t k_stride, Position position) {
  const auto* source = static_cast<const Source*>(args.source);
  const std::int64_t padded_depth = (args.depth + kTileDepth - 1) / kTileDepth * kTileDepth;
  for (std::int64_t k = 0; k < padded_depth; ++k)
    for (std::int64_t lane = 0; lane < kPanel; ++lane) {
      const bool inside = lane < args.lanes && k < args.depth;
      args.out[position(lane, k)] = inside ? narrow(source[lane * lane_stride + k * k_stride]) : std::uint16_t{0};
    }
}

void pack_a_rows(const PackArgs& args) noexcept { pack<float>(args, args.stride, 1, position_in_a); }
void pack_b_rows(const PackArgs& args) noexcept { pack<float>(args, args.stride, 1, position_in_b); }
void pack_b_rows_bf16(const PackArgs& args) noexcept { pack<std::uint16_t>(args, args.stride, 1, position_in_b); }
void pack_a_columns(const PackArgs& args) noexcept { pack<float>(args, 1, args.stride, position_in_a); }
void pack_b_columns(const PackArgs& args) noexcept { pack<float>(args, 1, args.stride, position_in_b); }

void block(const BlockArgs& args) noexcept {
  for (std::int64_t row = 0; row < args.rows; ++row)
    for (std::int64_t col = 0; col < args.cols; ++col) {
      const std::uint16_t* a = args.a + row / kPanel * args.a_panel_stride;
      const std::uint16_t* b = args.b + col / kPanel * args.b_panel_stride;
      float sum = 0.0F;
      for (std::int64_t k = 0; k < args.num_tiles * kTileDepth; ++k)
        sum += widen(a[position_in_a(row % kPanel, k)]) * widen(b[position_in_b(col % kPanel, k)]);
      float& out = args.out[row * args.out_stride + col];
      out = args.accumulate ? out + sum : sum;
    }
}

}  // namespace

Functions functions() noexcept {
  return {pack_a_rows, pack_b_rows, pack_b_rows_bf16, pack_a_columns, pack_b_columns, block};
}

}  // namespace quernel::kernels::gemm_bf16::reference
