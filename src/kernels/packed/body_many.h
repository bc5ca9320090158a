// packed for many rows: four panels are unpacked once into bytes in the second-level cache and multiplied with all rows, a block of
// rows times panels in registers. Included by instruction-set files after one simd/i8_*.h with a dot product straight into INT32.
//
// Layout   scratch [tiles, 16 quads, 4 panels, 64 bytes]: prepared codes (groups.h) where the policy prepares, else the codes
#pragma once

#include <type_traits>

#include "kernels/packed/groups.h"

namespace quernel::kernels::packed {
namespace {

constexpr std::int64_t kPanelsAtOnce = 4;
constexpr std::int64_t kQuads = 16;  // of a tile
constexpr std::int64_t kScratchQuad = kPanelsAtOnce * 64;
constexpr std::int64_t kScratchTile = kQuads * kScratchQuad;

// One tile of a panel. to: its place in scratch; convert(codes, half) makes the bytes that are multiplied.
template <Codes kCodes, class Convert>
void unpack_tile(const std::uint8_t* tile, std::uint8_t* to, const Convert& convert) {
  for (std::int64_t j = 0; j < kQuads / 2; ++j) {
    if constexpr (kCodes == Codes::u4) {
      const Bytes both = simd::load_bytes(tile + j * 64);
      simd::store_bytes(to + j * kScratchQuad, convert(simd::low_nibbles(both), 0));
      simd::store_bytes(to + (j + 8) * kScratchQuad, convert(simd::high_nibbles(both), 1));
    } else {
      simd::store_bytes(to + j * kScratchQuad, convert(simd::load_bytes(tile + j * 64), 0));
      simd::store_bytes(to + (j + 8) * kScratchQuad, convert(simd::load_bytes(tile + (j + 8) * 64), 1));
    }
  }
}

template <Codes kCodes, class Policy>
void unpack_panel(const WeightView& w, std::int64_t panel, std::uint8_t* to) {
  const std::uint8_t* codes = w.code_bytes + panel * w.tiles() * tile_bytes(kCodes);
  const std::uint8_t* params = w.param_bytes + panel * w.num_groups() * group_bytes(Policy::kGroups);
  for (std::int64_t t = 0; t < w.tiles(); ++t, codes += tile_bytes(kCodes), to += kScratchTile) {
    if constexpr (Policy::kPrepares) {
      const std::int64_t low = t * kTileInputs / w.group_size;
      const std::int64_t high = (t * kTileInputs + kSumInputs) / w.group_size;
      const Policy of_low(w, params + low * group_bytes(Policy::kGroups), 0);
      const Policy of_high(w, params + (high < w.num_groups() ? high : low) * group_bytes(Policy::kGroups), 0);
      unpack_tile<kCodes>(codes, to,
                          [&](Bytes c, int half) { return half == 0 ? of_low.prepare(c) : of_high.prepare(c); });
    } else {
      unpack_tile<kCodes>(codes, to, [](Bytes c, int) { return c; });
    }
  }
}

// dots[m][p] += products of quads [from, to), counted over all of K.
template <int kRows, int kPanels>
QUERNEL_INLINE void add_quads(const std::uint8_t* scratch, const std::int8_t* x, std::int64_t stride, std::int64_t from,
                              std::int64_t to, Ints (&dots)[kRows][kPanels]) {
  for (std::int64_t quad = from; quad < to; ++quad) {
    Bytes w[kPanels];
    for (int p = 0; p < kPanels; ++p) w[p] = simd::load_bytes(scratch + quad * kScratchQuad + p * 64);
    for (int m = 0; m < kRows; ++m) {
      const std::int32_t value = simd::load_quad(x + m * stride + 4 * quad);
      for (int p = 0; p < kPanels; ++p) dots[m][p] = simd::dot_add(dots[m][p], w[p], value);
    }
  }
}

template <int kRows, int kPanels>
struct Block {
  const Args& args;
  const std::uint8_t* scratch;  // of its first panel
  std::int64_t panel;
  std::int64_t row;

  template <class Policy, class Sums>
  void finish(const Sums& sums) const {
    for (int m = 0; m < kRows; ++m)
      for (int p = 0; p < kPanels; ++p) {
        const std::int64_t output = (panel + p) * kPanelOutputs;
        store_outputs(args.weight, args.out + (row + m) * args.out_stride, output,
                      Policy::finish(args.weight, sums[m][p], output, args.x.scales[row + m]));
      }
  }

  [[nodiscard]] std::int32_t x_sum(int m, std::int64_t from, std::int64_t to) const {
    return sum_of(args.x.sums + (row + m) * (args.x.stride / kSumInputs), from, to);
  }

  template <class Policy>
  void run_on() const {  // all groups in one sum
    const std::int64_t inputs = args.weight.tiles() * kTileInputs;
    Ints dots[kRows][kPanels];
    begin<Policy>(dots, 0, inputs);
    add_quads<kRows, kPanels>(scratch, args.x.codes + row * args.x.stride, args.x.stride, 0, inputs / 4, dots);
    finish<Policy>(dots);
  }

  template <class Policy>
  QUERNEL_INLINE void begin(Ints (&dots)[kRows][kPanels], std::int64_t from, std::int64_t to) const {
    for (int m = 0; m < kRows; ++m) {
      Ints start = simd::zero_ints();
      if constexpr (Policy::kPrepares) start = Policy::start(args.weight, x_sum(m, from, to));
      for (int p = 0; p < kPanels; ++p) dots[m][p] = start;
    }
  }

  template <class Policy>
  void run_groups() const {
    const WeightView& w = args.weight;
    const std::int64_t inputs = w.tiles() * kTileInputs;
    Reals sums[kRows][kPanels];
    for (auto& of_row : sums)
      for (Reals& sum : of_row) sum = simd::zero_reals();
    for (std::int64_t g = 0; g < w.num_groups(); ++g) {
      const std::int64_t from = g * w.group_size;
      const std::int64_t to = from + w.group_size < inputs ? from + w.group_size : inputs;
      Ints dots[kRows][kPanels];
      begin<Policy>(dots, from, to);
      add_quads<kRows, kPanels>(scratch, args.x.codes + row * args.x.stride, args.x.stride, from / 4, to / 4, dots);
      for (int p = 0; p < kPanels; ++p) {
        const Policy policy(w, w.param_bytes + ((panel + p) * w.num_groups() + g) * group_bytes(Policy::kGroups), 0);
        for (int m = 0; m < kRows; ++m) {
          if constexpr (Policy::kPrepares)
            sums[m][p] = policy.add_prepared(sums[m][p], dots[m][p], x_sum(m, from, to));
          else
            sums[m][p] = policy.add(sums[m][p], dots[m][p], x_sum(m, from, to));
        }
      }
    }
    finish<Policy>(sums);
  }
};

template <class Policy, int kRows, int kPanels>
void block_rows(const Args& args, const std::uint8_t* scratch, std::int64_t panel, std::int64_t row) {
  for (; row + kRows <= args.x.num_rows; row += kRows) {
    const Block<kRows, kPanels> block{args, scratch, panel, row};
    if constexpr (Policy::kRunsOn)
      block.template run_on<Policy>();
    else
      block.template run_groups<Policy>();
  }
  if constexpr (kRows > 1)
    if (row < args.x.num_rows) block_rows<Policy, kRows - 1, kPanels>(args, scratch, panel, row);
}

// kRows x kPanels sums: two_level 6 x 4, one INT32 register each; others 6 x 2, two registers each.
template <Codes kCodes, class Policy>
void many_of(const Args& args) {
  constexpr int kRows = 6;
  constexpr int kPanels = Policy::kRunsOn ? 4 : 2;
  for (std::int64_t panel = args.first_panel; panel < args.end_panel; panel += kPanelsAtOnce) {
    const std::int64_t count = args.end_panel - panel < kPanelsAtOnce ? args.end_panel - panel : kPanelsAtOnce;
    for (std::int64_t p = 0; p < count; ++p)
      unpack_panel<kCodes, Policy>(args.weight, panel + p, args.scratch + p * 64);
    std::int64_t p = 0;
    for (; p + kPanels <= count; p += kPanels)
      block_rows<Policy, kRows, kPanels>(args, args.scratch + p * 64, panel + p, 0);
    for (; p < count; ++p) block_rows<Policy, kRows, 1>(args, args.scratch + p * 64, panel + p, 0);
  }
}

inline void run_many(const Args& args) {
  const auto of_codes = [&](auto codes) {
    constexpr Codes kCodes = decltype(codes)::value;
    with_groups<kCodes, 0>(args.weight.groups, [&](auto tag) { many_of<kCodes, typename decltype(tag)::Type>(args); });
  };
  if (args.weight.codes == Codes::u4)
    of_codes(std::integral_constant<Codes, Codes::u4>{});
  else
    of_codes(std::integral_constant<Codes, Codes::u8>{});
}

}  // namespace
}  // namespace quernel::kernels::packed
