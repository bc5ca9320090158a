// packed for many rows: four panels are unpacked once into bytes in the second-level cache and multiplied with all rows, a block of
// rows times panels in registers. Included by instruction-set files after one simd/i8_*.h with a dot product straight into INT32.
//
// Layout   scratch [tiles, 16 quads, 4 panels, 64 bytes]: prepared codes (groups.h) where the policy prepares, else the codes as they are
#pragma once

#include "kernels/packed/groups.h"
#include "kernels/packed/tile_codes.h"

namespace quernel::kernels::packed {
namespace {

constexpr std::int64_t kPanelsAtOnce = 4;
constexpr std::int64_t kScratchQuad = kPanelsAtOnce * 64;
constexpr std::int64_t kScratchTile = kQuads * kScratchQuad;

// to: place of the first tile in scratch.
template <Codes kCodes, class Policy>
void unpack_panel(const WeightView& w, std::int64_t panel, std::uint8_t* to) {
  const std::uint8_t* codes = w.code_bytes + panel * w.tiles() * tile_bytes(kCodes);
  const std::uint8_t* params = w.param_bytes + panel * w.panel_param_bytes();
  const Bytes table = simd::repeat_table(w.table);
  const std::int64_t last = w.num_groups() - 1;
  for (std::int64_t t = 0; t < w.tiles(); ++t, codes += tile_bytes(kCodes), to += kScratchTile) {
    const TilePlace tiles[1] = {{codes, codes + kPrefetchAhead}};
    if constexpr (Policy::kPrepares && Policy::kChangesCodes) {
      const auto of = [&](std::int64_t part) {
        const std::int64_t group = (t * kTileInputs + part * kSumInputs) / w.group_size;
        return Policy(w, params, group < last ? group : last, 0);
      };
      const Policy policies[4] = {of(0), of(1), of(2), of(3)};
      for_each_quad<kCodes, 0, kQuads, 1>(tiles, table, [&](auto quad, const Bytes(&c)[1]) QUERNEL_INLINE_LAMBDA {
        simd::store_bytes(to + quad * kScratchQuad, policies[quad / 4].prepare(c[0]));
      });
    } else {
      for_each_quad<kCodes, 0, kQuads, 1>(tiles, table, [&](auto quad, const Bytes(&c)[1]) QUERNEL_INLINE_LAMBDA {
        simd::store_bytes(to + quad * kScratchQuad, c[0]);
      });
    }
  }
}

// What is read from memory next: a line at a time while products are computed, so that memory works meanwhile.
struct Ahead {
  const std::uint8_t* next = nullptr;
  const std::uint8_t* end = nullptr;
  QUERNEL_INLINE void step() {
    if (next >= end) return;
    simd::prefetch(next);
    next += kUnitBytes;
  }
};

// dots[m][p] += products of quads [from, to), counted over all of K.
template <int kRows, int kPanels>
QUERNEL_INLINE void add_quads(const std::uint8_t* scratch, const std::int8_t* x, std::int64_t stride, std::int64_t from,
                              std::int64_t to, Ints (&dots)[kRows][kPanels], Ahead& ahead) {
  for (std::int64_t quad = from; quad < to; ++quad) {
    ahead.step();
    Bytes w[kPanels];
    simd::for_each<kPanels>(
        [&](auto p) QUERNEL_INLINE_LAMBDA { w[p] = simd::load_bytes(scratch + quad * kScratchQuad + p * 64); });
    simd::for_each<kRows>([&](auto m) QUERNEL_INLINE_LAMBDA {
      const std::int32_t value = simd::load_quad(x + m * stride + 4 * quad);
      simd::for_each<kPanels>([&](auto p)
                                  QUERNEL_INLINE_LAMBDA { dots[m][p] = simd::dot_add(dots[m][p], w[p], value); });
    });
  }
}

template <int kRows, int kPanels>
struct ManyBlock {
  const Args& args;
  const std::uint8_t* scratch;  // of its first panel
  std::int64_t panel;
  std::int64_t row;
  Ahead& ahead;

  // call(Index row, Index panel)
  template <class Call>
  QUERNEL_INLINE static void for_all(const Call& call) {
    simd::for_each<kRows>([&](auto m) QUERNEL_INLINE_LAMBDA {
      simd::for_each<kPanels>([&](auto p) QUERNEL_INLINE_LAMBDA { call(m, p); });
    });
  }

  template <class Policy, class Sums>
  QUERNEL_INLINE void finish(const Sums& sums) const {
    for_all([&](auto m, auto p) QUERNEL_INLINE_LAMBDA {
      const std::int64_t output = (panel + p) * kPanelOutputs;
      store_outputs(args.weight, args.out + (row + m) * args.out_stride, output,
                    Policy::finish(args.weight, sums[m][p], output, args.x.scales[row + m]));
    });
  }

  template <class Policy>
  void run_on() const {  // all groups in one sum
    const std::int64_t inputs = args.weight.tiles() * kTileInputs;
    Ints dots[kRows][kPanels];
    for_all([&](auto m, auto p)
                QUERNEL_INLINE_LAMBDA { dots[m][p] = Policy::start(args.weight, args.x.totals[row + m]); });
    add_quads<kRows, kPanels>(scratch, args.x.codes + row * args.x.stride, args.x.stride, 0, inputs / 4, dots, ahead);
    finish<Policy>(dots);
  }

  template <class Policy>
  QUERNEL_INLINE void begin(Ints (&dots)[kRows][kPanels], const GroupSums& x_sums, std::int64_t group) const {
    simd::for_each<kRows>([&](auto m) QUERNEL_INLINE_LAMBDA {
      Ints start = simd::zero_ints();
      if constexpr (Policy::kPrepares) start = Policy::start(args.weight, x_sums.of(m, group));
      simd::for_each<kPanels>([&](auto p) QUERNEL_INLINE_LAMBDA { dots[m][p] = start; });
    });
  }

  template <class Policy>
  void run_groups() const {
    const WeightView& w = args.weight;
    const std::int64_t inputs = w.tiles() * kTileInputs;
    const GroupSums x_sums{args, row};
    const std::int64_t panel_params = w.panel_param_bytes();
    const std::uint8_t* params = w.param_bytes + panel * panel_params;
    Reals sums[kRows][kPanels];
    for_all([&](auto m, auto p) QUERNEL_INLINE_LAMBDA { sums[m][p] = simd::zero_reals(); });
    for (std::int64_t g = 0; g < w.num_groups(); ++g) {
      const std::int64_t from = g * w.group_size;
      const std::int64_t to = from + w.group_size < inputs ? from + w.group_size : inputs;
      Ints dots[kRows][kPanels];
      begin<Policy>(dots, x_sums, g);
      add_quads<kRows, kPanels>(scratch, args.x.codes + row * args.x.stride, args.x.stride, from / 4, to / 4, dots,
                                ahead);
      simd::for_each<kPanels>([&](auto p) QUERNEL_INLINE_LAMBDA {
        const Policy policy(w, params + p * panel_params, g, 0);
        simd::for_each<kRows>([&](auto m) QUERNEL_INLINE_LAMBDA {
          if constexpr (Policy::kPrepares)
            sums[m][p] = policy.add_prepared(sums[m][p], dots[m][p], x_sums.of(m, g));
          else
            sums[m][p] = policy.add(sums[m][p], dots[m][p], x_sums.of(m, g));
        });
      });
    }
    finish<Policy>(sums);
  }
};

template <class Policy, int kRows, int kPanels>
void block_rows(const Args& args, const std::uint8_t* scratch, std::int64_t panel, std::int64_t row, Ahead& ahead) {
  // Earlier it would be pushed out again before it is read.
  constexpr std::int64_t kLastRows = 24;
  Ahead nothing;
  for (; row + kRows <= args.x.num_rows; row += kRows) {
    Ahead& now = row + kLastRows >= args.x.num_rows ? ahead : nothing;
    const ManyBlock<kRows, kPanels> block{args, scratch, panel, row, now};
    if constexpr (Policy::kRunsOn)
      block.template run_on<Policy>();
    else
      block.template run_groups<Policy>();
  }
  if constexpr (kRows > 1)
    if (row < args.x.num_rows) block_rows<Policy, kRows - 1, kPanels>(args, scratch, panel, row, ahead);
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
    const std::int64_t panel_bytes = args.weight.tiles() * tile_bytes(kCodes);
    const std::uint8_t* next = args.weight.code_bytes + (panel + kPanelsAtOnce) * panel_bytes;
    // Past end_panel too: callers that take a few panels at a time go on there.
    Ahead ahead{next, panel + 2 * kPanelsAtOnce <= args.weight.panels() ? next + kPanelsAtOnce * panel_bytes : next};
    std::int64_t p = 0;
    for (; p + kPanels <= count; p += kPanels)
      block_rows<Policy, kRows, kPanels>(args, args.scratch + p * 64, panel + p, 0, ahead);
    for (; p < count; ++p) block_rows<Policy, kRows, 1>(args, args.scratch + p * 64, panel + p, 0, ahead);
  }
}

inline void run_many(const Args& args) {
  with_codes(args.weight.codes, [&](auto codes) {
    constexpr Codes kCodes = decltype(codes)::value;
    with_groups<kCodes, 0>(args.weight.groups, [&](auto tag) { many_of<kCodes, typename decltype(tag)::Type>(args); });
  });
}

}  // namespace
}  // namespace quernel::kernels::packed
