// packed for few rows: codes go from their planes straight into the dot product. Included by instruction-set files after one
// simd/i8_*.h and after kMaxRows, the rows that one pass over two panels serves (4: no such pass), and kMaxSums, the sums that
// fit the registers beside codes and activations.
//
// Bound by reading the weight as long as rows are few. The parts of a tile are summed apart: they are groups of their own where
// group_size is 16 or 32, and two independent chains where it is not.
#pragma once

#include "kernels/packed/groups.h"
#include "kernels/packed/tile_codes.h"

namespace quernel::kernels::packed {
namespace {

constexpr int kRowsOfSmallGroups = 4;

// What multiplies a tile: rows of x at its inputs.
struct TileRows {
  const std::int8_t* x;
  std::int64_t stride;
};

// What is computed at once: kRows rows of x from `row` on, outputs of kPanels panels, kIntLanes of each from lane `first` on.
template <Codes kCodes, class Policy, int kRows, int kPanels>
struct Block {
  static constexpr bool kShort = simd::kWidensByTile && is_tiny(kCodes);
  // Preparing costs instructions a register of codes: from three rows on it saves more. Without a dot product of large bytes, never.
  static constexpr bool kPrepared =
      Policy::kPrepares && simd::kWideByteBias == 0 && (kRows > 2 || (!Policy::kChangesCodes && !Policy::kRunsOn));
  static constexpr bool kRunsOn = kPrepared && Policy::kRunsOn;
  // Two sums for a long group hide the latency of the dot product, where there are registers for them.
  static constexpr int kChains = (kPrepared && kRows > 5) || kPanels > 1 ? 1 : 2;
  template <int kCount>
  using Sums = Ints[kCount][kPanels][kRows];
  template <int kCount>
  using Policies = Policy[kCount][kPanels];
  using Total = typename Policy::Sum[kPanels][kRows];

  const Args& args;
  std::int64_t panel, first, row;
  const WeightView& w = args.weight;
  std::int64_t num_tiles = w.tiles();
  std::int64_t num_groups = w.num_groups();
  std::int64_t panel_params = w.panel_param_bytes();
  const std::uint8_t* codes = w.code_bytes + panel * num_tiles * tile_bytes(kCodes) + 4 * first;
  const std::uint8_t* params = w.param_bytes + panel * panel_params;
  const std::int8_t* x = args.x.codes + row * args.x.stride;
  GroupSums x_sums{args, row};
  Bytes table = simd::repeat_table(w.table);

  // call(Index panel, Index row)
  template <class Call>
  QUERNEL_INLINE static void for_all(const Call& call) {
    simd::for_each<kPanels>([&](auto p) QUERNEL_INLINE_LAMBDA {
      simd::for_each<kRows>([&](auto m) QUERNEL_INLINE_LAMBDA { call(p, m); });
    });
  }
  template <int kPanel>
  [[nodiscard]] QUERNEL_INLINE Policy policy(std::int64_t group) const {
    return Policy(w, params + kPanel * panel_params, group, first);
  }
  [[nodiscard]] QUERNEL_INLINE TileRows rows_of(std::int64_t tile) const {
    return {x + tile * kTileInputs, args.x.stride};
  }
  template <int kPanel>
  [[nodiscard]] QUERNEL_INLINE TilePlace tile_of(std::int64_t tile) const {
    const std::int64_t panel_bytes = num_tiles * tile_bytes(kCodes);
    const std::int64_t offset = tile * tile_bytes(kCodes);
    const std::uint8_t* at = codes + kPanel * panel_bytes + offset;
    if constexpr (kPanels == 1) return {at, at + kPrefetchAhead};
    // Behind a panel's end comes its neighbour, which is being read: what this stream reads next lies behind that one.
    const std::int64_t distance = kPrefetchAhead < panel_bytes ? kPrefetchAhead : panel_bytes;
    return {at, at + distance + (offset + distance < panel_bytes ? 0 : (kPanels - 1) * panel_bytes)};
  }

  // sums of the quads [kFirst, kEnd) of a tile, in equal parts; policies of the kGroups equal parts of the whole tile.
  template <int kFirst, int kEnd, int kParts, int kGroups>
  QUERNEL_INLINE void add_tile(std::int64_t tile, const Policies<kGroups>& policies, Sums<kParts>& sums) const {
    const TileRows rows = rows_of(tile);
    const auto take = [&](auto quad, const Bytes(&all)[kPanels]) QUERNEL_INLINE_LAMBDA {
      constexpr int kQuad = decltype(quad)::value;
      constexpr int kPart = (kQuad - kFirst) * kParts / (kEnd - kFirst);
      Bytes ready[kPanels];
      simd::for_each<kPanels>([&](auto p) QUERNEL_INLINE_LAMBDA {
        ready[p] = all[p];
        if constexpr (kPrepared) ready[p] = policies[kQuad * kGroups / kQuads][p].prepare(all[p]);
      });
      simd::for_each<kRows>([&](auto m) QUERNEL_INLINE_LAMBDA {
        const std::int32_t value = simd::load_quad(rows.x + m * rows.stride + 4 * kQuad);
        simd::for_each<kPanels>([&](auto p) QUERNEL_INLINE_LAMBDA {
          if constexpr (is_small(kCodes) && !kPrepared)
            sums[kPart][p][m] = simd::dot_add_small(sums[kPart][p][m], ready[p], value);
          else
            sums[kPart][p][m] = simd::dot_add(sums[kPart][p][m], ready[p], value);
        });
      });
    };
    TilePlace tiles[kPanels];
    simd::for_each<kPanels>([&](auto p) QUERNEL_INLINE_LAMBDA { tiles[p] = tile_of<decltype(p)::value>(tile); });
    for_each_quad<kCodes, kFirst, kEnd, kPanels>(tiles, table, take);
  }
  // The same of tiny codes in sums of 16 bits (simd/i8_avx2.h): at most eight quads a part.
  template <int kParts>
  QUERNEL_INLINE void add_short(std::int64_t tile, Sums<kParts>& sums) const {
    static_assert(kParts >= 2 && kPanels == 1);
    const TileRows rows = rows_of(tile);
    decltype(simd::zero_shorts()) shorts[kParts][kRows];
    simd::for_each<kParts>([&](auto part) QUERNEL_INLINE_LAMBDA {
      simd::for_each<kRows>([&](auto m) QUERNEL_INLINE_LAMBDA { shorts[part][m] = simd::zero_shorts(); });
    });
    const TilePlace tiles[1] = {tile_of<0>(tile)};
    for_each_quad<kCodes, 0, kQuads, 1>(tiles, table, [&](auto quad, const Bytes(&all)[1]) QUERNEL_INLINE_LAMBDA {
      constexpr int kQuad = decltype(quad)::value;
      constexpr int kPart = kQuad * kParts / kQuads;
      simd::for_each<kRows>([&](auto m) QUERNEL_INLINE_LAMBDA {
        shorts[kPart][m] =
            simd::dot_add(shorts[kPart][m], all[0], simd::load_quad(rows.x + m * rows.stride + 4 * kQuad));
      });
    });
    simd::for_each<kParts>([&](auto part) QUERNEL_INLINE_LAMBDA {
      simd::for_each<kRows>(
          [&](auto m) QUERNEL_INLINE_LAMBDA { sums[part][0][m] = sums[part][0][m] + simd::widen(shorts[part][m]); });
    });
  }

  // Sums of a group begin.
  QUERNEL_INLINE void begin(Ints (&sums)[kPanels][kRows], std::int64_t group) const {
    for_all([&](auto p, auto m) QUERNEL_INLINE_LAMBDA {
      if constexpr (kPrepared)
        sums[p][m] = Policy::start(w, x_sums.of(m, group));
      else
        sums[p][m] = simd::zero_ints();
    });
  }
  // They join those of the row.
  QUERNEL_INLINE void add_group(Total& total, const Policy (&policies)[kPanels], const Ints (&dots)[kPanels][kRows],
                                std::int64_t group) const {
    for_all([&](auto p, auto m) QUERNEL_INLINE_LAMBDA {
      if constexpr (kRunsOn)
        total[p][m] = total[p][m] + dots[p][m];
      else if constexpr (kPrepared)
        total[p][m] = policies[p].add_prepared(total[p][m], dots[p][m], x_sums.of(m, group));
      else
        total[p][m] = policies[p].add(total[p][m], dots[p][m], x_sums.of(m, group));
    });
  }

  // Groups of 64 / kGroups inputs: kGroups in a tile, [kFirst, kEnd) of them in one go.
  template <int kGroups, int kFirst, int kEnd>
  QUERNEL_INLINE void add_part(Total& total, std::int64_t t, const Policies<kGroups>& policies) const {
    constexpr int kParts = kEnd - kFirst;
    Sums<kParts> sums;
    simd::for_each<kParts>([&](auto part) QUERNEL_INLINE_LAMBDA { begin(sums[part], t * kGroups + kFirst + part); });
    if constexpr (kShort && kParts == kGroups)
      add_short(t, sums);
    else
      add_tile<kFirst * kQuads / kGroups, kEnd * kQuads / kGroups>(t, policies, sums);
    simd::for_each<kParts>([&](auto part) QUERNEL_INLINE_LAMBDA {
      const std::int64_t group = t * kGroups + kFirst + part;
      // Past the last group: no inputs, and no parameters.
      if (group < num_groups) add_group(total, policies[kFirst + part], sums[part], group);
    });
  }
  template <int kGroups>
  QUERNEL_INLINE void run_small_groups(Total& total) const {
    // Sums, and what prepares codes, that fit the registers.
    constexpr int kRoom = kPrepared && Policy::kChangesCodes ? 10 : kMaxSums;
    for (std::int64_t t = 0; t < num_tiles; ++t) {
      Policies<kGroups> policies;
      simd::for_each<kGroups>([&](auto g) QUERNEL_INLINE_LAMBDA {
        const std::int64_t group = t * kGroups + g < num_groups ? t * kGroups + g : num_groups - 1;
        simd::for_each<kPanels>([&](auto p)
                                    QUERNEL_INLINE_LAMBDA { policies[g][p] = policy<decltype(p)::value>(group); });
      });
      if constexpr (kGroups * kRows * kPanels <= kRoom)
        add_part<kGroups, 0, kGroups>(total, t, policies);
      else
        simd::for_each<kGroups>([&](auto g) QUERNEL_INLINE_LAMBDA {
          add_part<kGroups, decltype(g)::value, decltype(g)::value + 1>(total, t, policies);
        });
    }
  }

  QUERNEL_INLINE void add_whole_tile(std::int64_t t, const Policies<1>& group, Sums<kChains>& sums) const {
    if constexpr (kShort)
      add_short(t, sums);
    else
      add_tile<0, kQuads>(t, group, sums);
  }
  QUERNEL_INLINE void run_tiles(Total& total) const {  // groups of whole tiles
    const std::int64_t group_tiles = w.group_size / kTileInputs;
    Sums<kChains> sums;
    const auto clear_second = [&]() QUERNEL_INLINE_LAMBDA {
      if constexpr (kChains > 1)
        for_all([&](auto p, auto m) QUERNEL_INLINE_LAMBDA { sums[1][p][m] = simd::zero_ints(); });
    };
    const auto join = [&]() QUERNEL_INLINE_LAMBDA {
      if constexpr (kChains > 1)
        for_all([&](auto p, auto m) QUERNEL_INLINE_LAMBDA { sums[0][p][m] = sums[0][p][m] + sums[1][p][m]; });
    };
    if constexpr (kRunsOn) {
      for_all([&](auto p, auto m) QUERNEL_INLINE_LAMBDA { sums[0][p][m] = Policy::start(w, args.x.totals[row + m]); });
      clear_second();
    }
    for (std::int64_t g = 0; g < num_groups; ++g) {
      const std::int64_t from = g * group_tiles;
      const std::int64_t to = from + group_tiles < num_tiles ? from + group_tiles : num_tiles;
      Policies<1> group;
      simd::for_each<kPanels>([&](auto p) QUERNEL_INLINE_LAMBDA { group[0][p] = policy<decltype(p)::value>(g); });
      if constexpr (!kRunsOn) {
        begin(sums[0], g);
        clear_second();
      }
      for (std::int64_t t = from; t < to; ++t) add_whole_tile(t, group, sums);
      if constexpr (!kRunsOn) {
        join();
        add_group(total, group[0], sums[0], g);
      }
    }
    if constexpr (kRunsOn) {
      join();
      for_all([&](auto p, auto m) QUERNEL_INLINE_LAMBDA { total[p][m] = sums[0][p][m]; });
    }
  }

  void run() const {
    Total total;
    for_all([&](auto p, auto m) QUERNEL_INLINE_LAMBDA { total[p][m] = Policy::none(); });
    if constexpr (kRows > kRowsOfSmallGroups) {
      run_tiles(total);
    } else {
      if (w.group_size == 2 * kSumInputs)
        run_small_groups<2>(total);
      else if (w.group_size == kSumInputs)
        run_small_groups<4>(total);
      else if constexpr (!Policy::kHasSuper)
        run_tiles(total);
    }
    for_all([&](auto p, auto m) QUERNEL_INLINE_LAMBDA {
      const std::int64_t output = (panel + p) * kPanelOutputs + first;
      store_outputs(w, args.out + (row + m) * args.out_stride, output,
                    Policy::finish(w, total[p][m], output, args.x.scales[row + m]));
    });
  }
};

// From five rows on loading activations takes longer than multiplying them, unless two panels share what is loaded. That is compiled
// for the kinds that quantizing to 4 bits gives; others, and small groups, take four rows at a time, and find the panel's codes in the
// first-level cache when they come back to them.
template <class Policy>
constexpr bool takes_two_panels(Codes codes) {
  return kMaxRows > kRowsOfSmallGroups && codes == Codes::u4 && !Policy::kIsFixed && !Policy::kHasSuper;
}
constexpr std::int64_t kPair = 2;
constexpr bool is_common(Codes codes) { return codes == Codes::u4 || codes == Codes::u8; }  // others skip three rows

// Rows from `row` on of one panel; rows left over by kRows at a time go on with fewer.
template <Codes kCodes, class Policy, int kRows>
void run_rows(const Args& args, std::int64_t panel, std::int64_t first, std::int64_t row) {
  for (; row + kRows <= args.x.num_rows; row += kRows) Block<kCodes, Policy, kRows, 1>{args, panel, first, row}.run();
  if constexpr (kRows > 1)
    if (row < args.x.num_rows)
      run_rows<kCodes, Policy, is_common(kCodes) ? kRows - 1 : kRows / 2>(args, panel, first, row);
}

// The same of two panels, as long as more than four rows are left.
template <Codes kCodes, class Policy, int kRows>
void run_pair(const Args& args, std::int64_t panel, std::int64_t row) {
  for (; row + kRows <= args.x.num_rows; row += kRows) Block<kCodes, Policy, kRows, 2>{args, panel, 0, row}.run();
  if constexpr (kRows > kRowsOfSmallGroups + 1) {
    if (row < args.x.num_rows) run_pair<kCodes, Policy, kRows - 1>(args, panel, row);
  } else {
    for (std::int64_t p = panel; p < panel + kPair && row < args.x.num_rows; ++p)
      run_rows<kCodes, Policy, kRowsOfSmallGroups>(args, p, 0, row);
  }
}

template <Codes kCodes, class Policy>
void few_panels(const Args& args) {
  std::int64_t panel = args.first_panel;
  if constexpr (takes_two_panels<Policy>(kCodes)) {
    if (args.x.num_rows > kRowsOfSmallGroups && args.weight.group_size >= kTileInputs)
      for (; panel + kPair <= args.end_panel; panel += kPair) run_pair<kCodes, Policy, kMaxRows>(args, panel, 0);
  }
  for (; panel < args.end_panel; ++panel)
    for (std::int64_t first = 0; first < kPanelOutputs; first += kIntLanes)
      if (panel * kPanelOutputs + first < args.weight.rows)
        run_rows<kCodes, Policy, kRowsOfSmallGroups>(args, panel, first, 0);
}

template <Codes kCodes>
void few_of(const Args& args) {
  constexpr int kBias = is_small(kCodes) ? 0 : simd::kWideByteBias;
  with_groups<kCodes, kBias>(args.weight.groups,
                             [&](auto tag) { few_panels<kCodes, typename decltype(tag)::Type>(args); });
}

inline void run_few(const Args& args) {
  with_codes(args.weight.codes, [&](auto codes) { few_of<decltype(codes)::value>(args); });
}

}  // namespace
}  // namespace quernel::kernels::packed
