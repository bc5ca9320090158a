// packed for many rows: a few panels are unpacked once into bytes in the first- or second-level cache and multiplied with all rows, a
// block of rows times columns in registers; a column is kIntLanes outputs, a panel or half of one. Included by instruction-set files
// after one simd/i8_*.h with a dot product straight into INT32 (less kWideByteBias a code), and after kPanelsAtOnce, how many are unpacked together, and
// kOneSumColumns and kTwoSumColumns, the columns of a block where an output takes one register (two_level) and two (others).
//
// Layout   scratch [tiles, 16 quads, kPanelsAtOnce, 64 bytes]: prepared codes (groups.h) where the policy prepares, else the codes as
//          they are
#pragma once

#include "kernels/packed/groups.h"
#include "kernels/packed/tile_codes.h"

namespace quernel::kernels::packed {
namespace {

constexpr std::int64_t kColumnBytes = 4 * kIntLanes;
constexpr int kPanelColumns = kPanelOutputs / kIntLanes;
constexpr std::int64_t kScratchQuad = kPanelsAtOnce * 64;
constexpr std::int64_t kScratchTile = kQuads * kScratchQuad;

// Parameters of one column of a panel in the groups of a tile's four parts.
template <class Policy>
struct TilePolicies {
  Policy of_part[4];
  QUERNEL_INLINE TilePolicies(const WeightView& w, const std::uint8_t* params, std::int64_t tile, std::int64_t first) {
    const std::int64_t last = w.num_groups() - 1;
    simd::for_each<4>([&](auto part) QUERNEL_INLINE_LAMBDA {
      const std::int64_t group = (tile * kTileInputs + part * kSumInputs) / w.group_size;
      of_part[part] = Policy(w, params, group < last ? group : last, first);
    });
  }
};

// to: place of the first tile in scratch.
template <Codes kCodes, class Policy>
void unpack_panel(const WeightView& w, std::int64_t panel, std::uint8_t* to) {
  const std::uint8_t* codes = w.code_bytes + panel * w.tiles() * tile_bytes(kCodes);
  const std::uint8_t* params = w.param_bytes + panel * w.panel_param_bytes();
  const Bytes table = simd::repeat_table(w.table);
  for (std::int64_t t = 0; t < w.tiles(); ++t, codes += tile_bytes(kCodes), to += kScratchTile)
    simd::for_each<kPanelColumns>([&](auto c) QUERNEL_INLINE_LAMBDA {
      const std::uint8_t* from = codes + c * kColumnBytes;
      std::uint8_t* column = to + c * kColumnBytes;
      const TilePlace tiles[1] = {{from, from + kPrefetchAhead}};
      if constexpr (Policy::kPrepares && Policy::kChangesCodes) {
        const TilePolicies<Policy> policies(w, params, t, c * kIntLanes);
        for_each_quad<kCodes, 0, kQuads, 1>(tiles, table, [&](auto quad, const Bytes(&q)[1]) QUERNEL_INLINE_LAMBDA {
          simd::store_bytes(column + quad * kScratchQuad, policies.of_part[quad / 4].prepare(q[0]));
        });
      } else {
        for_each_quad<kCodes, 0, kQuads, 1>(tiles, table, [&](auto quad, const Bytes(&q)[1]) QUERNEL_INLINE_LAMBDA {
          simd::store_bytes(column + quad * kScratchQuad, q[0]);
        });
      }
    });
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

// dots[m][c] += products of quads [from, to), counted over all of K.
template <int kRows, int kColumns>
QUERNEL_INLINE void add_quads(const std::uint8_t* scratch, const std::int8_t* x, std::int64_t stride, std::int64_t from,
                              std::int64_t to, Ints (&dots)[kRows][kColumns], Ahead& ahead) {
  for (std::int64_t quad = from; quad < to; ++quad) {
    ahead.step();
    Bytes w[kColumns];
    simd::for_each<kColumns>([&](auto c) QUERNEL_INLINE_LAMBDA {
      w[c] = simd::load_bytes(scratch + quad * kScratchQuad + c * kColumnBytes);
    });
    simd::for_each<kRows>([&](auto m) QUERNEL_INLINE_LAMBDA {
      const std::int32_t value = simd::load_quad(x + m * stride + 4 * quad);
      simd::for_each<kColumns>([&](auto c)
                                   QUERNEL_INLINE_LAMBDA { dots[m][c] = simd::dot_add(dots[m][c], w[c], value); });
    });
  }
}

template <int kRows, int kColumns>
struct ManyBlock {
  const Args& args;
  const std::uint8_t* scratch;  // of its first column
  std::int64_t column;
  std::int64_t row;
  Ahead& ahead;

  // call(Index row, Index column)
  template <class Call>
  QUERNEL_INLINE static void for_all(const Call& call) {
    simd::for_each<kRows>([&](auto m) QUERNEL_INLINE_LAMBDA {
      simd::for_each<kColumns>([&](auto c) QUERNEL_INLINE_LAMBDA { call(m, c); });
    });
  }

  // What sums begin at: the policy's, and what dot_add takes off each code.
  template <class Policy>
  [[nodiscard]] QUERNEL_INLINE Ints start(std::int32_t x_sum) const {
    Ints sum = simd::zero_ints();
    if constexpr (Policy::kPrepares) sum = Policy::start(args.weight, x_sum);
    if constexpr (simd::kWideByteBias != 0) sum = sum + simd::splat(simd::kWideByteBias * x_sum);
    return sum;
  }
  template <class Policy, class Sums>
  QUERNEL_INLINE void finish(const Sums& sums) const {
    for_all([&](auto m, auto c) QUERNEL_INLINE_LAMBDA {
      const std::int64_t output = (column + c) * kIntLanes;
      if (output < args.weight.rows)
        store_outputs(args.weight, args.out + (row + m) * args.out_stride, output,
                      Policy::finish(args.weight, sums[m][c], output, args.x.scales[row + m]));
    });
  }

  template <class Policy>
  void run_on() const {  // all groups in one sum
    const std::int64_t inputs = args.weight.tiles() * kTileInputs;
    Ints dots[kRows][kColumns];
    for_all([&](auto m, auto c) QUERNEL_INLINE_LAMBDA { dots[m][c] = start<Policy>(args.x.totals[row + m]); });
    add_quads<kRows, kColumns>(scratch, args.x.codes + row * args.x.stride, args.x.stride, 0, inputs / 4, dots, ahead);
    finish<Policy>(dots);
  }

  template <class Policy>
  QUERNEL_INLINE void begin(Ints (&dots)[kRows][kColumns], const GroupSums& x_sums, std::int64_t group) const {
    simd::for_each<kRows>([&](auto m) QUERNEL_INLINE_LAMBDA {
      const Ints first = start<Policy>(simd::kWideByteBias != 0 || Policy::kPrepares ? x_sums.of(m, group) : 0);
      simd::for_each<kColumns>([&](auto c) QUERNEL_INLINE_LAMBDA { dots[m][c] = first; });
    });
  }

  template <class Policy>
  void run_groups() const {
    const WeightView& w = args.weight;
    const std::int64_t inputs = w.tiles() * kTileInputs;
    const GroupSums x_sums{args, row};
    const std::int64_t panel_params = w.panel_param_bytes();
    const auto policy_of = [&](std::int64_t c, std::int64_t group) QUERNEL_INLINE_LAMBDA {
      const std::uint8_t* params = w.param_bytes + (column + c) / kPanelColumns * panel_params;
      return Policy(w, params, group, (column + c) % kPanelColumns * kIntLanes);
    };
    Reals sums[kRows][kColumns];
    for_all([&](auto m, auto c) QUERNEL_INLINE_LAMBDA { sums[m][c] = simd::zero_reals(); });
    for (std::int64_t g = 0; g < w.num_groups(); ++g) {
      const std::int64_t from = g * w.group_size;
      const std::int64_t to = from + w.group_size < inputs ? from + w.group_size : inputs;
      Ints dots[kRows][kColumns];
      begin<Policy>(dots, x_sums, g);
      add_quads<kRows, kColumns>(scratch, args.x.codes + row * args.x.stride, args.x.stride, from / 4, to / 4, dots,
                                 ahead);
      simd::for_each<kColumns>([&](auto c) QUERNEL_INLINE_LAMBDA {
        const Policy policy = policy_of(c, g);
        simd::for_each<kRows>([&](auto m) QUERNEL_INLINE_LAMBDA {
          if constexpr (Policy::kPrepares)
            sums[m][c] = policy.add_prepared(sums[m][c], dots[m][c], x_sums.of(m, g));
          else
            sums[m][c] = policy.add(sums[m][c], dots[m][c], x_sums.of(m, g));
        });
      });
    }
    finish<Policy>(sums);
  }
};

template <class Policy, int kRows, int kColumns>
void block_rows(const Args& args, const std::uint8_t* scratch, std::int64_t column, std::int64_t row, Ahead& ahead) {
  // Earlier it would be pushed out again before it is read.
  constexpr std::int64_t kLastRows = 24;
  Ahead nothing;
  for (; row + kRows <= args.x.num_rows; row += kRows) {
    Ahead& now = row + kLastRows >= args.x.num_rows ? ahead : nothing;
    const ManyBlock<kRows, kColumns> block{args, scratch, column, row, now};
    if constexpr (Policy::kRunsOn)
      block.template run_on<Policy>();
    else
      block.template run_groups<Policy>();
  }
  if constexpr (kRows > 1)
    if (row < args.x.num_rows) block_rows<Policy, kRows - 1, kColumns>(args, scratch, column, row, ahead);
}

template <Codes kCodes, class Policy>
void many_of(const Args& args) {
  constexpr int kRows = 6;
  constexpr int kColumns = Policy::kRunsOn ? kOneSumColumns : kTwoSumColumns;
  for (std::int64_t panel = args.first_panel; panel < args.end_panel; panel += kPanelsAtOnce) {
    const std::int64_t count = args.end_panel - panel < kPanelsAtOnce ? args.end_panel - panel : kPanelsAtOnce;
    for (std::int64_t p = 0; p < count; ++p)
      unpack_panel<kCodes, Policy>(args.weight, panel + p, args.scratch + p * 64);
    const std::int64_t panel_bytes = args.weight.tiles() * tile_bytes(kCodes);
    const std::uint8_t* next = args.weight.code_bytes + (panel + kPanelsAtOnce) * panel_bytes;
    // Past end_panel too: callers that take a few panels at a time go on there.
    Ahead ahead{next, panel + 2 * kPanelsAtOnce <= args.weight.panels() ? next + kPanelsAtOnce * panel_bytes : next};
    const std::int64_t columns = count * kPanelColumns;
    const std::int64_t first = panel * kPanelColumns;
    std::int64_t c = 0;
    for (; c + kColumns <= columns; c += kColumns)
      block_rows<Policy, kRows, kColumns>(args, args.scratch + c * kColumnBytes, first + c, 0, ahead);
    for (; c < columns; ++c) block_rows<Policy, kRows, 1>(args, args.scratch + c * kColumnBytes, first + c, 0, ahead);
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
