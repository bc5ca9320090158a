// Values of a run times their weights. Included by kernels/kv_attention/body.h.
#pragma once

#include "kernels/kv_attention/body_weights.h"

namespace quernel::kernels::kv_attention {
namespace {

template <int kRows>
struct Mix {
  static constexpr std::int64_t kQuads = kPageTokens / 4;
  const Args& args;
  const RunWeights (&weights)[kRows];
  const Partial* partials;
  std::int64_t size = padded_dim(args.head_dim);
  Parts rows[kRows] = {};

  void start() {
    for (int m = 0; m < kRows; ++m) {
      rows[m] = {weights[m].high, weights[m].low, 0, 0};
      if constexpr (simd::kWideByteBias != 0)
        for (std::int64_t t = 0; t < args.num_pages * kPageTokens; ++t) {
          rows[m].high_sum += weights[m].high[t];
          rows[m].low_sum += weights[m].low[t];
        }
    }
  }
  // Products of a page's weights with its dimensions from d on, whose panels lie side by side.
  template <bool kFetch, int kPanels>
  QUERNEL_INLINE void add_page(const Page& page, const std::uint8_t* ahead, std::int64_t d,
                               const Parts (&of_page)[kRows], Dots<kRows, kPanels>& sums) const {
    const std::int64_t panel_bytes = kQuads * 8 * page.bits;
    const std::int64_t from = (d / 16) * panel_bytes + 4 * (d % 16);
    const PanelPlace place{page.bytes.values + from, ahead + from, panel_bytes};
    if (page.bits == 8)
      add_quads<8, kFetch>(place, kQuads, of_page, sums);
    else
      add_quads<4, kFetch>(place, kQuads, of_page, sums);
  }
  template <int kPanels>
  QUERNEL_INLINE void finish(std::int64_t d, const Dots<kRows, kPanels>& sums) const {
    for_all<kRows, kPanels>([&](auto p, auto m) QUERNEL_INLINE_LAMBDA {
      simd::store_reals(partials[m].mixed + d + p * kIntLanes,
                        simd::fma(whole(sums.high[p][m], sums.low[p][m]), simd::splat(weights[m].scale),
                                  simd::splat(weights[m].offset)));
    });
  }
  QUERNEL_INLINE void next_page(Parts (&of_page)[kRows]) const {
    for (Parts& part : of_page) {
      part.high += kPageTokens;
      part.low += kPageTokens;
    }
  }

  // Values in the cache: the sums of some dimensions stay in registers over all pages.
  template <int kPanels>
  void mix_panels(std::int64_t d) const {
    Parts of_page[kRows];
    for (int m = 0; m < kRows; ++m) of_page[m] = rows[m];
    Dots<kRows, kPanels> sums;
    begin_dots(rows, sums);
    for (std::int64_t p = 0; p < args.num_pages; ++p) {
      add_page<false>(args.pages[p], args.pages[p].bytes.values, d, of_page, sums);
      next_page(of_page);
    }
    finish(d, sums);
  }
  void from_cache() {
    start();
    std::int64_t d = 0;
    for (; d + kMaxPanels * kIntLanes <= size; d += kMaxPanels * kIntLanes) mix_panels<kMaxPanels>(d);
    for (; d < size; d += kIntLanes) mix_panels<1>(d);
  }

  // Values in memory: page by page, so that they are read in one stream; the sums of all dimensions wait in the first-level cache.
  void from_memory() {
    start();
    Dots<kRows, 1> sums[kMaxHeadDim / kIntLanes];
    for (std::int64_t d = 0; d < size; d += kIntLanes) begin_dots(rows, sums[d / kIntLanes]);
    for (std::int64_t p = 0; p < args.num_pages; ++p) {
      const Page& page = args.pages[p];
      // What comes next are the keys of the run after this one.
      const std::uint8_t* ahead = p < args.num_next ? args.next[p].bytes.keys : page.bytes.values;
      simd::prefetch(ahead + page_layout(args.head_dim, page.bits).key_params);
      simd::prefetch(ahead + page_layout(args.head_dim, page.bits).key_params + 64);
      for (std::int64_t d = 0; d < size; d += kIntLanes) {
        Dots<kRows, 1> own = sums[d / kIntLanes];
        add_page<true>(page, ahead, d, rows, own);
        sums[d / kIntLanes] = own;
      }
      next_page(rows);
    }
    for (std::int64_t d = 0; d < size; d += kIntLanes) finish(d, sums[d / kIntLanes]);
  }
};

// A row alone: positions that it does not see hold anything.
inline void mix_halves(const Args& args, const Visible& seen, const RunScores& weights, const Partial& partial) {
  const std::int64_t size = padded_dim(args.head_dim);
  for (std::int64_t d = 0; d < size; d += 16) {
    F32x16 sum = broadcast(0.0F);
    for (std::int64_t t = seen.first; t < seen.end; ++t) {
      const auto* values = reinterpret_cast<const std::uint16_t*>(args.pages[t / kPageTokens].bytes.values);
      sum = fma(broadcast(weights.at[t]), simd::load_f16(values + (t % kPageTokens) * size + d), sum);
    }
    simd::store(partial.mixed + d, sum);
  }
}

}  // namespace
}  // namespace quernel::kernels::kv_attention
