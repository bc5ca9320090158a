// packed for many rows on AMX tiles: panels are unpacked as for body_many.h, and a tile of a panel (16 quads, 16 outputs) is what one
// tile register multiplies with 16 rows of 64 inputs. Included by instruction-set files after simd/i8_avx512.h and one of the headers of
// tile operations.
//
// Groups below 64 inputs, and rows left over by 16, take body_many.h's way. Tiles 0-3 sums of 2 x 16 rows and 2 panels, 4-5 rows of x,
// 6-7 panels.
#pragma once

#include "kernels/packed/body_many.h"

namespace quernel::kernels::packed {
namespace {

constexpr int kTileRows = 16;
constexpr int kTileBlocks = 2;  // of rows, and panels, at once

// Sums of one pass over a range of tiles, [row block][panel][row][output].
struct TileSums {
  alignas(64) std::int32_t at[kTileBlocks][kTileBlocks][kTileRows][kPanelOutputs];
};

// Products of inputs [first_tile, end_tile) * 64; x: first of 32 rows (the second 16 are the first again where there are no more).
inline void multiply_tiles(const std::uint8_t* scratch, const std::int8_t* x, std::int64_t second_rows,
                           std::int64_t stride, std::int64_t first_tile, std::int64_t end_tile, TileSums& sums) {
  constexpr std::int64_t kRow = kPanelOutputs * sizeof(std::int32_t);
  simd::tile_zero<0>();
  simd::tile_zero<1>();
  simd::tile_zero<2>();
  simd::tile_zero<3>();
  for (std::int64_t t = first_tile; t < end_tile; ++t) {
    const std::uint8_t* panels = scratch + t * kScratchTile;
    simd::tile_load<6>(panels, kScratchQuad);
    simd::tile_load<7>(panels + kUnitBytes, kScratchQuad);
    simd::tile_load<4>(x + t * kTileInputs, stride);
    simd::tile_load<5>(x + second_rows * stride + t * kTileInputs, stride);
    simd::tile_multiply_s8u8<0, 4, 6>();
    simd::tile_multiply_s8u8<1, 4, 7>();
    simd::tile_multiply_s8u8<2, 5, 6>();
    simd::tile_multiply_s8u8<3, 5, 7>();
  }
  simd::tile_store<0>(sums.at[0][0], kRow);
  simd::tile_store<1>(sums.at[0][1], kRow);
  simd::tile_store<2>(sums.at[1][0], kRow);
  simd::tile_store<3>(sums.at[1][1], kRow);
}

// Rows [row, row + 16 or 32) times panels [panel, panel + 2): scratch of the first.
template <class Policy>
struct TileBlock {
  const Args& args;
  const std::uint8_t* scratch;
  std::int64_t panel, row;
  int blocks;  // of rows: 1 or 2
  const WeightView& w = args.weight;

  static Ints load(const std::int32_t* from) { return {_mm512_loadu_si512(from)}; }
  void multiply(std::int64_t first_tile, std::int64_t end_tile, TileSums& sums) const {
    multiply_tiles(scratch, args.x.codes + row * args.x.stride, blocks > 1 ? kTileRows : 0, args.x.stride, first_tile,
                   end_tile, sums);
  }
  // call(row block, panel, row)
  template <class Call>
  void for_all(const Call& call) const {
    for (int b = 0; b < blocks; ++b)
      for (int p = 0; p < kTileBlocks; ++p)
        for (int m = 0; m < kTileRows; ++m) call(b, p, m);
  }
  void store(int b, int p, int m, typename Policy::Sum sum) const {
    const std::int64_t at = row + b * kTileRows + m;
    const std::int64_t output = (panel + p) * kPanelOutputs;
    store_outputs(w, args.out + at * args.out_stride, output, Policy::finish(w, sum, output, args.x.scales[at]));
  }

  void run_on() const {
    TileSums sums;
    multiply(0, w.tiles(), sums);
    for_all([&](int b, int p, int m) {
      const Ints start = Policy::start(w, args.x.totals[row + b * kTileRows + m]);
      store(b, p, m, start + load(sums.at[b][p][m]));
    });
  }

  void run_groups() const {
    const GroupSums x_sums{args, row};
    const std::uint8_t* params = w.param_bytes + panel * w.panel_param_bytes();
    const std::int64_t group_tiles = w.group_size / kTileInputs;
    Reals totals[kTileBlocks][kTileBlocks][kTileRows];
    for_all([&](int b, int p, int m) { totals[b][p][m] = simd::zero_reals(); });
    TileSums sums;
    for (std::int64_t g = 0; g < w.num_groups(); ++g) {
      const std::int64_t end = (g + 1) * group_tiles;
      multiply(g * group_tiles, end < w.tiles() ? end : w.tiles(), sums);
      const Policy policies[kTileBlocks] = {Policy(w, params, g, 0), Policy(w, params + w.panel_param_bytes(), g, 0)};
      for_all([&](int b, int p, int m) {
        const std::int32_t x_sum = x_sums.of(b * kTileRows + m, g);
        Reals& total = totals[b][p][m];
        const Ints dot = load(sums.at[b][p][m]);
        if constexpr (Policy::kPrepares)
          total = policies[p].add_prepared(total, Policy::start(w, x_sum) + dot, x_sum);
        else
          total = policies[p].add(total, dot, x_sum);
      });
    }
    for_all([&](int b, int p, int m) { store(b, p, m, totals[b][p][m]); });
  }

  void run() const {
    if constexpr (Policy::kRunsOn)
      run_on();
    else
      run_groups();
  }
};

// Whole blocks of 16 rows of a pair of panels; returns the first row that is left.
template <class Policy>
std::int64_t tile_rows(const Args& args, const std::uint8_t* scratch, std::int64_t panel) {
  std::int64_t row = 0;
  while (row + kTileRows <= args.x.num_rows) {
    const int blocks = row + kTileBlocks * kTileRows <= args.x.num_rows ? kTileBlocks : 1;
    TileBlock<Policy>{args, scratch, panel, row, blocks}.run();
    row += blocks * kTileRows;
  }
  return row;
}

template <Codes kCodes, class Policy>
void tiled_of(const Args& args) {
  const WeightView& w = args.weight;
  for (std::int64_t panel = args.first_panel; panel < args.end_panel; panel += kPanelsAtOnce) {
    const std::int64_t count = args.end_panel - panel < kPanelsAtOnce ? args.end_panel - panel : kPanelsAtOnce;
    for (std::int64_t p = 0; p < count; ++p) unpack_panel<kCodes, Policy>(w, panel + p, args.scratch + p * kUnitBytes);
    Ahead nothing;
    for (std::int64_t p = 0; p < count; p += kTileBlocks) {
      const std::uint8_t* scratch = args.scratch + p * kUnitBytes;
      const bool pair = p + kTileBlocks <= count;
      const std::int64_t rest = pair ? tile_rows<Policy>(args, scratch, panel + p) : 0;
      if (rest == args.x.num_rows) continue;
      if (pair)
        block_rows<Policy, 6, 2>(args, scratch, panel + p, rest, nothing);
      else
        block_rows<Policy, 6, 1>(args, scratch, panel + p, rest, nothing);
    }
  }
}

inline void run_tiled(const Args& args) {
  if (args.weight.group_size < kTileInputs) return run_many(args);
  const simd::TileConfig config;
  simd::tile_configure(config);
  with_codes(args.weight.codes, [&](auto codes) {
    constexpr Codes kCodes = decltype(codes)::value;
    with_groups<kCodes, 0>(args.weight.groups, [&](auto tag) {
      using Policy = typename decltype(tag)::Type;
      if constexpr (!Policy::kHasSuper) tiled_of<kCodes, Policy>(args);
    });
  });
  simd::tile_release();
}

}  // namespace
}  // namespace quernel::kernels::packed
