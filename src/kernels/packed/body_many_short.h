// packed for many rows where products are summed in 16 bits (simd/i8_avx2.h): a panel is unpacked once into bytes in the first- or second-level
// cache and multiplied with all rows, four at a time. For codes up to 15; others go the way of few rows. Included by
// instruction-set files after body_few.h.
//
// Layout   scratch [tiles, 16 quads, 64 bytes]: codes as they are
// Bounds   a sum of 16 bits takes eight quads: 8 * 2 * 15 * 127 = 30,480 < 2^15. Two-level: that times s2 <= 16, pairs of them, in INT32
#pragma once

#include "kernels/packed/body_few.h"
#include "kernels/packed/groups.h"
#include "kernels/packed/tile_codes.h"

namespace quernel::kernels::packed {
namespace {

constexpr int kHalves = kPanelOutputs / kIntLanes;  // registers of a panel's outputs
constexpr std::int64_t kHalfBytes = 4 * kIntLanes;

template <Codes kCodes>
void unpack_bytes(const WeightView& w, std::int64_t panel, std::uint8_t* to) {
  const std::uint8_t* codes = w.code_bytes + panel * w.tiles() * tile_bytes(kCodes);
  const Bytes table = simd::repeat_table(w.table);
  for (std::int64_t t = 0; t < w.tiles(); ++t, codes += tile_bytes(kCodes), to += kQuads * kUnitBytes)
    simd::for_each<kHalves>([&](auto h) QUERNEL_INLINE_LAMBDA {
      const std::uint8_t* half = codes + h * kHalfBytes;
      const TilePlace tiles[1] = {{half, half + kPrefetchAhead}};
      for_each_quad<kCodes, 0, kQuads, 1>(tiles, table, [&](auto quad, const Bytes(&c)[1]) QUERNEL_INLINE_LAMBDA {
        simd::store_bytes(to + quad * kUnitBytes + h * kHalfBytes, c[0]);
      });
    });
}

// Outputs of one panel for kRows rows from `row` on.
template <class Policy, int kRows>
struct ShortBlock {
  using Shorts = decltype(simd::zero_shorts());
  static constexpr bool kTakesShorts = Policy::kRunsOn;  // two levels: s2 multiplies sums of 16 bits

  const Args& args;
  const std::uint8_t* scratch;
  std::int64_t panel;
  std::int64_t row;

  // call(Index row, Index half)
  template <class Call>
  QUERNEL_INLINE static void for_all(const Call& call) {
    simd::for_each<kRows>([&](auto m) QUERNEL_INLINE_LAMBDA {
      simd::for_each<kHalves>([&](auto h) QUERNEL_INLINE_LAMBDA { call(m, h); });
    });
  }

  template <int kStep>
  QUERNEL_INLINE void add_quads(std::int64_t quad, Shorts (&shorts)[kRows][kHalves]) const {
    const std::int8_t* x = args.x.codes + row * args.x.stride + 4 * quad;
    const std::uint8_t* codes = scratch + quad * kUnitBytes;
    for_all([&](auto m, auto h) QUERNEL_INLINE_LAMBDA { shorts[m][h] = simd::zero_shorts(); });
    simd::for_each<kStep>([&](auto j) QUERNEL_INLINE_LAMBDA {
      Bytes of_half[kHalves];
      simd::for_each<kHalves>([&](auto h) QUERNEL_INLINE_LAMBDA {
        of_half[h] = simd::load_bytes(codes + j * kUnitBytes + h * kHalfBytes);
      });
      simd::for_each<kRows>([&](auto m) QUERNEL_INLINE_LAMBDA {
        const std::int32_t value = simd::load_quad(x + m * args.x.stride + 4 * j);
        simd::for_each<kHalves>(
            [&](auto h) QUERNEL_INLINE_LAMBDA { shorts[m][h] = simd::dot_add(shorts[m][h], of_half[h], value); });
      });
    });
  }

  template <int kStep>
  void run_groups() const {
    const WeightView& w = args.weight;
    const std::int64_t quads = w.tiles() * kQuads;
    const GroupSums x_sums{args, row};
    const std::uint8_t* params = w.param_bytes + panel * w.panel_param_bytes();
    typename Policy::Sum sums[kRows][kHalves];
    for_all([&](auto m, auto h) QUERNEL_INLINE_LAMBDA { sums[m][h] = Policy::none(); });
    for (std::int64_t g = 0; g < w.num_groups(); ++g) {
      const std::int64_t from = g * w.group_size / 4;
      const std::int64_t to = from + w.group_size / 4 < quads ? from + w.group_size / 4 : quads;
      Policy policy[kHalves];
      simd::for_each<kHalves>([&](auto h) QUERNEL_INLINE_LAMBDA { policy[h] = Policy(w, params, g, h * kIntLanes); });
      Ints dots[kRows][kHalves];
      for_all([&](auto m, auto h) QUERNEL_INLINE_LAMBDA { dots[m][h] = simd::zero_ints(); });
      for (std::int64_t quad = from; quad < to; quad += kStep) {
        Shorts shorts[kRows][kHalves];
        add_quads<kStep>(quad, shorts);
        for_all([&](auto m, auto h) QUERNEL_INLINE_LAMBDA {
          if constexpr (kTakesShorts)
            dots[m][h] = dots[m][h] + simd::widen_scaled(shorts[m][h], policy[h].scale);
          else
            dots[m][h] = dots[m][h] + simd::widen(shorts[m][h]);
        });
      }
      for_all([&](auto m, auto h) QUERNEL_INLINE_LAMBDA {
        if constexpr (kTakesShorts)
          sums[m][h] = policy[h].add_scaled(sums[m][h], dots[m][h], x_sums.of(m, g));
        else
          sums[m][h] = policy[h].add(sums[m][h], dots[m][h], x_sums.of(m, g));
      });
    }
    for_all([&](auto m, auto h) QUERNEL_INLINE_LAMBDA {
      const std::int64_t output = panel * kPanelOutputs + h * kIntLanes;
      if (output < w.rows)
        store_outputs(w, args.out + (row + m) * args.out_stride, output,
                      Policy::finish(w, sums[m][h], output, args.x.scales[row + m]));
    });
  }
  void run() const {
    if (args.weight.group_size == kSumInputs)
      run_groups<kSumInputs / 4>();
    else
      run_groups<kQuads / 2>();
  }
};

template <class Policy, int kRows>
void short_rows(const Args& args, std::int64_t panel, std::int64_t row) {
  for (; row + kRows <= args.x.num_rows; row += kRows) ShortBlock<Policy, kRows>{args, args.scratch, panel, row}.run();
  if constexpr (kRows > 1)
    if (row < args.x.num_rows) short_rows<Policy, kRows / 2>(args, panel, row);
}

inline void run_many_short(const Args& args) {
  with_codes(args.weight.codes, [&](auto tag) {
    constexpr Codes kCodes = decltype(tag)::value;
    if constexpr (!is_tiny(kCodes)) {
      few_of<kCodes>(args);
    } else {
      with_groups<kCodes, 0>(args.weight.groups, [&](auto groups) {
        for (std::int64_t panel = args.first_panel; panel < args.end_panel; ++panel) {
          unpack_bytes<kCodes>(args.weight, panel, args.scratch);
          short_rows<typename decltype(groups)::Type, 4>(args, panel, 0);
        }
      });
    }
  });
}

}  // namespace
}  // namespace quernel::kernels::packed
