// kv_attention over the integers of simd/i8_*.h and floats: all keys of a run, then its weights, then all its values, so that each is read in
// one stream. Included by instruction-set files after one simd/i8_*.h, one simd/f32x16_*.h, simd/math_f32x16.h, kMaxRows and kMaxPanels:
// queries times panels whose sums of two parts fit the registers together.
#pragma once

#include <cstddef>

#include "kernels/kv_attention/body_dots.h"
#include "kernels/kv_attention/kv_attention.h"
#include "simd/inline.h"

namespace quernel::kernels::kv_attention {
namespace {

using simd::broadcast;
using simd::F32x16;

constexpr float kMaxSplit = 32512.0F;  // 255 * 127 + 127
constexpr float kNothing = -__builtin_inff();
constexpr std::int64_t kRunTokens = kMaxRunPages * kPageTokens;

inline float dot_f16(const float* x, const std::uint16_t* y, std::int64_t size) {
  F32x16 sum = broadcast(0.0F);
  for (std::int64_t i = 0; i < size; i += 16) {
    const F32x16 a = size - i >= 16 ? simd::load(x + i) : simd::load_partial(x + i, size - i, 0.0F);
    const F32x16 b = size - i >= 16 ? simd::load_f16(y + i) : simd::load_partial_f16(y + i, size - i);
    sum = fma(a, b, sum);
  }
  return reduce_add(sum);
}

// Scores of a run's positions, then their weights exp(s - max).
struct RunScores {
  alignas(64) float at[kRunTokens];
};

// Scores of one page, before masking, at position `first` of the run.
template <int kBits, bool kFetch, int kRows>
QUERNEL_INLINE void score_codes(const Args& args, const Page& page, const Query* queries, std::int64_t first,
                                RunScores* scores) {
  const PageLayout layout = page_layout(args.head_dim, kBits);
  const std::int64_t quads = args.head_dim / 4;
  const std::int64_t panel_bytes = quads * 64 * kBits / 8;
  Parts rows[kRows];
  for (int m = 0; m < kRows; ++m) rows[m] = {queries[m].high, queries[m].low, queries[m].high_sum, queries[m].low_sum};
  for (std::int64_t t = 0; t < kPageTokens; t += kIntLanes * kMaxPanels) {
    Dots<kRows, kMaxPanels> sums;
    begin_dots(rows, sums);
    const std::int64_t from = (t / 16) * panel_bytes + 4 * (t % 16);
    // What comes next are the values of these positions.
    add_quads<kBits, kFetch>({page.bytes.keys + from, page.bytes.values + from, panel_bytes}, quads, rows, sums);
    for_all<kRows, kMaxPanels>([&](auto p, auto m) QUERNEL_INLINE_LAMBDA {
      simd::store_reals(scores[m].at + first + t + p * kIntLanes, whole(sums.high[p][m], sums.low[p][m]));
    });
  }
  if constexpr (kFetch) {
    simd::prefetch(page.bytes.values + layout.value_params);
    simd::prefetch(page.bytes.values + layout.value_params + 64);
  }
  const auto* params = reinterpret_cast<const std::uint16_t*>(page.bytes.keys + layout.key_params);
  const auto* centers = reinterpret_cast<const std::uint16_t*>(page.bytes.keys + layout.centers);
  F32x16 steps[2], offsets[2];
  for (int h = 0; h < 2; ++h) {
    steps[h] = simd::load_f16(params + 16 * h);
    offsets[h] = simd::load_f16(params + kPageTokens + 16 * h);
  }
  for (int m = 0; m < kRows; ++m) {
    const float step = args.scale * queries[m].scale;
    const float sum =
        step * (kSplitBase * static_cast<float>(queries[m].high_sum) + static_cast<float>(queries[m].low_sum));
    const float center = kBits == 4 ? args.scale * dot_f16(queries[m].values, centers, args.head_dim) : 0.0F;
    for (int h = 0; h < 2; ++h) {
      float* at = scores[m].at + first + 16 * h;
      const F32x16 base = fma(offsets[h], broadcast(sum), broadcast(center));
      simd::store(at, fma(simd::load(at) * broadcast(step), steps[h], base));
    }
  }
}

template <int kRows>
void score_halves(const Args& args, const Page& page, const Query* queries, std::int64_t first, RunScores* scores) {
  F32x16 sums[kRows][2];
  for (auto& of_row : sums) of_row[0] = of_row[1] = broadcast(0.0F);
  const auto* keys = reinterpret_cast<const std::uint16_t*>(page.bytes.keys);
  for (std::int64_t d = 0; d < args.head_dim; ++d)
    for (int h = 0; h < 2; ++h) {
      const F32x16 key = simd::load_f16(keys + d * kPageTokens + 16 * h);
      for (int m = 0; m < kRows; ++m) sums[m][h] = fma(broadcast(queries[m].values[d]), key, sums[m][h]);
    }
  for (int m = 0; m < kRows; ++m)
    for (int h = 0; h < 2; ++h) simd::store(scores[m].at + first + 16 * h, sums[m][h] * broadcast(args.scale));
}

// Positions of the run that a query sees: [first, end) within 0 .. positions of the run.
struct Visible {
  std::int64_t first;
  std::int64_t end;
};
inline Visible visible_of(const Args& args, const Query& query) {
  const std::int64_t size = args.num_pages * kPageTokens;
  const std::int64_t last = query.position - args.first_position + 1;
  const std::int64_t oldest = args.window > 0 ? last - args.window : 0;
  const Visible seen{oldest < 0 ? 0 : oldest, last > size ? size : last};
  return seen.first < seen.end ? seen : Visible{0, 0};
}

// Sixteen positions from i of the run on, all of them seen, or only a part.
template <bool kWhole>
struct Sixteen {
  static constexpr bool kIsWhole = kWhole;
  const Visible& seen;
  std::int64_t i;
  // Positions that are not seen become `fill`: there may be anything, even what is no number.
  [[nodiscard]] QUERNEL_INLINE F32x16 keep(F32x16 a, float fill) const {
    if constexpr (kWhole) return a;
    const std::int64_t first = seen.first - i < 0 ? 0 : seen.first - i;
    const std::int64_t end = seen.end - i > 16 ? 16 : seen.end - i;
    return keep_range(a, first, end, fill);
  }
};

// Those that a query sees something of, one after another.
template <class Body>
QUERNEL_INLINE void for_each_part(const Visible& seen, const Body& body) {
  std::int64_t i = seen.first / 16 * 16;
  if (i < seen.first) {
    body(Sixteen<false>{seen, i});
    i += 16;
  }
  for (; i + 16 <= seen.end; i += 16) body(Sixteen<true>{seen, i});
  if (i < seen.end) body(Sixteen<false>{seen, i});
}

// Scores, capped, with nothing where nothing is seen; the largest.
inline float mask_scores(const Args& args, const Visible& seen, RunScores& scores) {
  F32x16 largest = broadcast(kNothing);
  const bool is_capped = args.soft_cap > 0.0F;
  for_each_part(seen, [&](const auto& part) QUERNEL_INLINE_LAMBDA {
    F32x16 s = simd::load(scores.at + part.i);
    if (is_capped) s = broadcast(args.soft_cap) * simd::tanh(s / broadcast(args.soft_cap));
    s = part.keep(s, kNothing);
    if (is_capped || !part.kIsWhole) simd::store(scores.at + part.i, s);
    largest = max(s, largest);
  });
  return reduce_max(largest);
}

// Scores become weights.
inline void weigh(const Args& args, const Visible& seen, RunScores& scores, Partial& out) {
  out.max = mask_scores(args, seen, scores);
  F32x16 sum = broadcast(0.0F);
  for_each_part(seen, [&](const auto& part) QUERNEL_INLINE_LAMBDA {
    const F32x16 weight = simd::exp(simd::load(scores.at + part.i) - broadcast(out.max));
    simd::store(scores.at + part.i, weight);
    sum = sum + weight;
  });
  out.sum = reduce_add(sum);
}

// Scales and offsets of a run's values, as floats for all its queries.
struct RunParams {
  alignas(64) float scale[kRunTokens];
  alignas(64) float offset[kRunTokens];
};
inline void load_params(const Args& args, RunParams& to) {
  for (std::int64_t p = 0; p < args.num_pages; ++p) {
    const Page& page = args.pages[p];
    const auto* params =
        reinterpret_cast<const std::uint16_t*>(page.bytes.values + page_layout(args.head_dim, page.bits).value_params);
    for (std::int64_t h = 0; h < kPageTokens; h += 16) {
      simd::store(to.scale + p * kPageTokens + h, simd::load_f16(params + h));
      simd::store(to.offset + p * kPageTokens + h, simd::load_f16(params + kPageTokens + h));
    }
  }
}

// Weights of a run times the scales of its values, in two parts.
struct RunWeights {
  alignas(64) std::int8_t high[kRunTokens];
  alignas(64) std::int8_t low[kRunTokens];
  float scale;
  float offset;  // part of every mixed value
};

// Scores become weights times the scales of values, in one go; the largest of them.
inline float weigh_scaled(const Visible& seen, const RunParams& params, RunScores& scores, Partial& out,
                          RunWeights& weights) {
  F32x16 sum = broadcast(0.0F);
  F32x16 offset = broadcast(0.0F);
  F32x16 largest = broadcast(0.0F);
  for_each_part(seen, [&](const auto& part) QUERNEL_INLINE_LAMBDA {
    const F32x16 weight = simd::exp(simd::load(scores.at + part.i) - broadcast(out.max));
    sum = sum + weight;
    const F32x16 scaled = part.keep(weight * simd::load(params.scale + part.i), 0.0F);
    offset = offset + part.keep(weight * simd::load(params.offset + part.i), 0.0F);
    largest = max(scaled, largest);
    simd::store(scores.at + part.i, scaled);
  });
  out.sum = reduce_add(sum);
  weights.offset = reduce_add(offset);
  return reduce_max(largest);
}

inline void split_weights(const Args& args, const Visible& seen, float most, const RunScores& scores,
                          RunWeights& weights) {
  const float inverse = kMaxSplit / most;
  const bool usable = inverse <= 3.402823466e38F;  // else all values of the run are one number: the offset
  weights.scale = usable ? most / kMaxSplit : 0.0F;
  if (seen.first > 0 || seen.end < args.num_pages * kPageTokens) {
    __builtin_memset(weights.high, 0, sizeof weights.high);
    __builtin_memset(weights.low, 0, sizeof weights.low);
  }
  const F32x16 factor = broadcast(usable ? inverse : 0.0F);
  for_each_part(seen, [&](const auto& part) QUERNEL_INLINE_LAMBDA {
    const F32x16 v = simd::round_nearest(simd::load(scores.at + part.i) * factor);
    // |v| <= 32512: multiplying by 1 / 255 instead of dividing may round a tie otherwise; high and low still add up to v and stay in range.
    const F32x16 high = simd::round_nearest(v * broadcast(1.0F / kSplitBase));
    simd::store_i8(weights.high + part.i, high);
    simd::store_i8(weights.low + part.i, fnma(high, broadcast(kSplitBase), v));
  });
}

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

template <bool kFetch, int kRows>
void score_pages(const Args& args, const Query* queries, const Visible& all, RunScores (&scores)[kRows]) {
  for (std::int64_t p = all.first / kPageTokens; p * kPageTokens < all.end; ++p) {
    const Page& page = args.pages[p];
    if (page.bits == 8)
      score_codes<8, kFetch, kRows>(args, page, queries, p * kPageTokens, scores);
    else if (page.bits == 4)
      score_codes<4, kFetch, kRows>(args, page, queries, p * kPageTokens, scores);
    else
      score_halves<kRows>(args, page, queries, p * kPageTokens, scores);
  }
}

// kFetch: the first rows, which read the pages from memory and fill `params`.
template <bool kFetch, int kRows>
void run_rows(const Args& args, RunParams& params, const Query* queries, Partial* partials) {
  Visible seen[kRows];
  Visible all{args.num_pages * kPageTokens, 0};  // by some row
  for (int m = 0; m < kRows; ++m) {
    seen[m] = visible_of(args, queries[m]);
    if (seen[m].end == 0) continue;
    all.first = seen[m].first < all.first ? seen[m].first : all.first;
    all.end = seen[m].end > all.end ? seen[m].end : all.end;
  }
  if (all.end == 0) {  // behind a sliding window: nothing is read
    for (int m = 0; m < kRows; ++m) {
      partials[m].max = kNothing;
      partials[m].sum = 0.0F;
      __builtin_memset(partials[m].mixed, 0, static_cast<std::size_t>(padded_dim(args.head_dim)) * sizeof(float));
    }
    return;
  }
  RunScores scores[kRows];
  score_pages<kFetch, kRows>(args, queries, all, scores);
  if (args.pages[0].bits == 16) {
    for (int m = 0; m < kRows; ++m) {
      weigh(args, seen[m], scores[m], partials[m]);
      mix_halves(args, seen[m], scores[m], partials[m]);
    }
    return;
  }
  if constexpr (kFetch) load_params(args, params);
  RunWeights weights[kRows];
  // Step by step for all rows, so that one row's arithmetic fills the waits of another's.
  float most[kRows];
  for (int m = 0; m < kRows; ++m) partials[m].max = mask_scores(args, seen[m], scores[m]);
  for (int m = 0; m < kRows; ++m) most[m] = weigh_scaled(seen[m], params, scores[m], partials[m], weights[m]);
  for (int m = 0; m < kRows; ++m) split_weights(args, seen[m], most[m], scores[m], weights[m]);
  Mix<kRows> mix{args, weights, partials};
  if constexpr (kFetch)
    mix.from_memory();
  else
    mix.from_cache();
}

// Rows after the first ones find the pages in the cache.
template <int kRows>
void run_rest(const Args& args, RunParams& params, std::int64_t row) {
  for (; row + kRows <= args.num_queries; row += kRows)
    run_rows<false, kRows>(args, params, args.queries + row, args.partials + row);
  if constexpr (kRows > 1)
    if (row < args.num_queries) run_rest<kRows - 1>(args, params, row);
}

template <int kRows>
void run_first(const Args& args, RunParams& params) {
  if constexpr (kRows > 1)
    if (args.num_queries < kRows) return run_first<kRows - 1>(args, params);
  run_rows<true, kRows>(args, params, args.queries, args.partials);
  run_rest<kMaxRows>(args, params, kRows);
}

inline void run_all(const Args& args) {
  if (args.num_queries == 0) return;
  RunParams params;
  run_first<kMaxRows>(args, params);
}

}  // namespace
}  // namespace quernel::kernels::kv_attention
