// kv_attention over the integers of simd/i8_*.h and floats: all keys of a run, then its weights, then all its values, so that each is read in
// one stream. Included by instruction-set files after one simd/i8_*.h, one simd/f32x16_*.h, simd/math_f32x16.h, and kMaxRows: queries whose sums of two parts fit the registers together.
#pragma once

#include <cstddef>

#include "kernels/kv_attention/kv_attention.h"
#include "simd/inline.h"

namespace quernel::kernels::kv_attention {
namespace {

using simd::broadcast;
using simd::Bytes;
using simd::F32x16;
using simd::Ints;
using simd::kIntLanes;

constexpr float kSplitBase = 255.0F;
constexpr float kMaxSplit = 32512.0F;  // 255 * 127 + 127
constexpr float kNothing = -__builtin_inff();
constexpr std::int64_t kRunTokens = kMaxRunPages * kPageTokens;

// Two-part products of kRows queries with the codes of a unit or a pair of units.
template <int kRows>
struct Dots {
  Ints high[kRows], low[kRows];
};

// A row of two parts that multiplies codes: a query's, or the weights of a page.
struct Parts {
  const std::int8_t* high;
  const std::int8_t* low;
  std::int32_t high_sum;
  std::int32_t low_sum;
};

template <int kRows>
QUERNEL_INLINE void begin_dots(const Parts (&rows)[kRows], Dots<kRows>& dots) {
  simd::for_each<kRows>([&](auto m) QUERNEL_INLINE_LAMBDA {
    dots.high[m] = simd::splat(simd::kWideByteBias * rows[m].high_sum);
    dots.low[m] = simd::splat(simd::kWideByteBias * rows[m].low_sum);
  });
}

template <int kRows>
QUERNEL_INLINE void add_quad(const Parts (&rows)[kRows], std::int64_t quad, Bytes codes, Dots<kRows>& dots) {
  simd::for_each<kRows>([&](auto m) QUERNEL_INLINE_LAMBDA {
    dots.high[m] = simd::dot_add(dots.high[m], codes, simd::load_quad(rows[m].high + 4 * quad));
    dots.low[m] = simd::dot_add(dots.low[m], codes, simd::load_quad(rows[m].low + 4 * quad));
  });
}

// All quads of the outputs at `at`: num_quads units, 8 bits, or half as many pairs of units, 4 bits. `ahead`: as many bytes that are
// read later; any address.
template <int kBits, int kRows>
QUERNEL_INLINE void add_quads(const std::uint8_t* at, const std::uint8_t* ahead, std::int64_t num_quads,
                              const Parts (&rows)[kRows], Dots<kRows>& dots) {
  if constexpr (kBits == 8) {
    for (std::int64_t j = 0; j < num_quads; ++j) {
      simd::prefetch(ahead + j * 64);
      add_quad<kRows>(rows, j, simd::load_bytes(at + j * 64), dots);
    }
  } else {
    const std::int64_t pairs = num_quads / 2;
    for (std::int64_t j = 0; j < pairs; ++j) {
      simd::prefetch(ahead + j * 64);
      const Bytes both = simd::load_bytes(at + j * 64);
      add_quad<kRows>(rows, j, simd::move_bits<0, 15>(both), dots);
      add_quad<kRows>(rows, j + pairs, simd::move_bits<4, 15>(both), dots);
    }
  }
}

inline simd::Reals whole(Ints high, Ints low) {
  return simd::fma(simd::splat(kSplitBase), simd::to_reals(high), simd::to_reals(low));
}

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
template <int kBits, int kRows>
QUERNEL_INLINE void score_codes(const Args& args, const Page& page, const Query* queries, std::int64_t first,
                                RunScores* scores) {
  const PageLayout layout = page_layout(args.head_dim, kBits);
  const std::int64_t quads = args.head_dim / 4;
  const std::int64_t panel_bytes = quads * 64 * kBits / 8;
  Parts rows[kRows];
  for (int m = 0; m < kRows; ++m) rows[m] = {queries[m].high, queries[m].low, queries[m].high_sum, queries[m].low_sum};
  for (std::int64_t t = 0; t < kPageTokens; t += kIntLanes) {
    Dots<kRows> sums;
    begin_dots<kRows>(rows, sums);
    const std::int64_t from = (t / 16) * panel_bytes + 4 * (t % 16);
    // What comes next are the values of these positions.
    add_quads<kBits, kRows>(page.bytes.keys + from, page.bytes.values + from, quads, rows, sums);
    simd::for_each<kRows>([&](auto m) QUERNEL_INLINE_LAMBDA {
      simd::store_reals(scores[m].at + first + t, whole(sums.high[m], sums.low[m]));
    });
  }
  simd::prefetch(page.bytes.values + layout.value_params);
  simd::prefetch(page.bytes.values + layout.value_params + 64);
  const auto* params = reinterpret_cast<const std::uint16_t*>(page.bytes.keys + layout.key_params);
  const auto* centers = reinterpret_cast<const std::uint16_t*>(page.bytes.keys + layout.centers);
  for (int m = 0; m < kRows; ++m) {
    const float step = args.scale * queries[m].scale;
    const float sum =
        step * (kSplitBase * static_cast<float>(queries[m].high_sum) + static_cast<float>(queries[m].low_sum));
    const float center = kBits == 4 ? args.scale * dot_f16(queries[m].values, centers, args.head_dim) : 0.0F;
    for (std::int64_t h = 0; h < kPageTokens; h += 16) {
      float* at = scores[m].at + first + h;
      const F32x16 base = fma(simd::load_f16(params + kPageTokens + h), broadcast(sum), broadcast(center));
      simd::store(at, fma(simd::load(at) * broadcast(step), simd::load_f16(params + h), base));
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

// Sixteen values from position i of the run on; positions that are not seen become `fill`: there may be anything, even what is no number.
inline F32x16 keep_seen(F32x16 a, std::int64_t i, const Visible& seen, float fill) {
  const std::int64_t first = seen.first - i < 0 ? 0 : seen.first - i;
  const std::int64_t end = seen.end - i > 16 ? 16 : seen.end - i;
  if (first == 0 && end == 16) return a;
  return end > first ? keep_range(a, first, end, fill) : broadcast(fill);
}

// Sixteen positions that a query sees a part of, one after another.
template <class Body>
QUERNEL_INLINE void for_each_part(const Visible& seen, const Body& body) {
  for (std::int64_t i = seen.first / 16 * 16; i < seen.end; i += 16) body(i);
}

// Scores become weights.
inline void weigh(const Args& args, const Visible& seen, RunScores& scores, Partial& out) {
  F32x16 largest = broadcast(kNothing);
  for_each_part(seen, [&](std::int64_t i) QUERNEL_INLINE_LAMBDA {
    F32x16 s = simd::load(scores.at + i);
    if (args.soft_cap > 0.0F) s = broadcast(args.soft_cap) * simd::tanh(s / broadcast(args.soft_cap));
    s = keep_seen(s, i, seen, kNothing);
    simd::store(scores.at + i, s);
    largest = max(s, largest);
  });
  out.max = reduce_max(largest);
  F32x16 sum = broadcast(0.0F);
  for_each_part(seen, [&](std::int64_t i) QUERNEL_INLINE_LAMBDA {
    const F32x16 weight = simd::exp(simd::load(scores.at + i) - broadcast(out.max));
    simd::store(scores.at + i, weight);
    sum = sum + weight;
  });
  out.sum = reduce_add(sum);
}

// Weights of a run times the scales of its values, in two parts.
struct RunWeights {
  alignas(64) std::int8_t high[kRunTokens];
  alignas(64) std::int8_t low[kRunTokens];
  float scale;
  float offset;  // part of every mixed value
};

inline const std::uint16_t* value_params(const Args& args, std::int64_t i) {
  const Page& page = args.pages[i / kPageTokens];
  return reinterpret_cast<const std::uint16_t*>(page.bytes.values +
                                                page_layout(args.head_dim, page.bits).value_params) +
         i % kPageTokens;
}

inline void split_weights(const Args& args, const Visible& seen, RunScores& weights, RunWeights& out) {
  F32x16 offset = broadcast(0.0F);
  F32x16 largest = broadcast(0.0F);
  for_each_part(seen, [&](std::int64_t i) QUERNEL_INLINE_LAMBDA {
    const std::uint16_t* params = value_params(args, i);
    const F32x16 weight = simd::load(weights.at + i);
    const F32x16 scaled = keep_seen(weight * simd::load_f16(params), i, seen, 0.0F);
    offset = offset + keep_seen(weight * simd::load_f16(params + kPageTokens), i, seen, 0.0F);
    largest = max(scaled, largest);
    simd::store(weights.at + i, scaled);
  });
  out.offset = reduce_add(offset);
  const float most = reduce_max(largest);
  const float inverse = kMaxSplit / most;
  const bool usable = inverse <= 3.402823466e38F;  // else all values of the run are one number: the offset
  out.scale = usable ? most / kMaxSplit : 0.0F;
  __builtin_memset(out.high, 0, sizeof out.high);
  __builtin_memset(out.low, 0, sizeof out.low);
  const F32x16 factor = broadcast(usable ? inverse : 0.0F);
  for_each_part(seen, [&](std::int64_t i) QUERNEL_INLINE_LAMBDA {
    const F32x16 v = simd::round_nearest(simd::load(weights.at + i) * factor);
    // |v| <= 32512: multiplying by 1 / 255 instead of dividing may round a tie otherwise; high and low still add up to v and stay in range.
    const F32x16 high = simd::round_nearest(v * broadcast(1.0F / kSplitBase));
    simd::store_i8(out.high + i, high);
    simd::store_i8(out.low + i, fnma(high, broadcast(kSplitBase), v));
  });
}

// Page by page, so that values are read in one stream; the sums of all dimensions wait in the first-level cache meanwhile.
template <int kRows>
void mix_codes(const Args& args, const RunWeights (&weights)[kRows], const Partial* partials) {
  constexpr std::int64_t kQuads = kPageTokens / 4;
  const std::int64_t size = padded_dim(args.head_dim);
  Parts rows[kRows];
  for (int m = 0; m < kRows; ++m) {
    rows[m] = {weights[m].high, weights[m].low, 0, 0};
    if constexpr (simd::kWideByteBias != 0)
      for (std::int64_t t = 0; t < args.num_pages * kPageTokens; ++t) {
        rows[m].high_sum += weights[m].high[t];
        rows[m].low_sum += weights[m].low[t];
      }
  }
  Dots<kRows> sums[kMaxHeadDim / kIntLanes];
  for (std::int64_t d = 0; d < size; d += kIntLanes) begin_dots<kRows>(rows, sums[d / kIntLanes]);
  for (std::int64_t p = 0; p < args.num_pages; ++p) {
    const Page& page = args.pages[p];
    // What comes next are the keys of the run after this one.
    const std::uint8_t* ahead = p < args.num_next ? args.next[p].bytes.keys : page.bytes.values;
    simd::prefetch(ahead + page_layout(args.head_dim, page.bits).key_params);
    simd::prefetch(ahead + page_layout(args.head_dim, page.bits).key_params + 64);
    for (std::int64_t d = 0; d < size; d += kIntLanes) {
      Dots<kRows> own = sums[d / kIntLanes];
      const std::int64_t from = (d / 16) * (kQuads * 8 * page.bits) + 4 * (d % 16);
      if (page.bits == 8)
        add_quads<8, kRows>(page.bytes.values + from, ahead + from, kQuads, rows, own);
      else
        add_quads<4, kRows>(page.bytes.values + from, ahead + from, kQuads, rows, own);
      sums[d / kIntLanes] = own;
    }
    for (int m = 0; m < kRows; ++m) {
      rows[m].high += kPageTokens;
      rows[m].low += kPageTokens;
    }
  }
  for (std::int64_t d = 0; d < size; d += kIntLanes)
    for (int m = 0; m < kRows; ++m) {
      const Dots<kRows>& own = sums[d / kIntLanes];
      simd::store_reals(partials[m].mixed + d, simd::fma(whole(own.high[m], own.low[m]), simd::splat(weights[m].scale),
                                                         simd::splat(weights[m].offset)));
    }
}

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

template <int kRows>
void score_pages(const Args& args, const Query* queries, const Visible& all, RunScores (&scores)[kRows]) {
  for (std::int64_t p = all.first / kPageTokens; p * kPageTokens < all.end; ++p) {
    const Page& page = args.pages[p];
    if (page.bits == 8)
      score_codes<8, kRows>(args, page, queries, p * kPageTokens, scores);
    else if (page.bits == 4)
      score_codes<4, kRows>(args, page, queries, p * kPageTokens, scores);
    else
      score_halves<kRows>(args, page, queries, p * kPageTokens, scores);
  }
}

template <int kRows>
void run_rows(const Args& args, const Query* queries, Partial* partials) {
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
  RunWeights weights[kRows];
  score_pages<kRows>(args, queries, all, scores);
  const bool halves = args.pages[0].bits == 16;
  for (int m = 0; m < kRows; ++m) {
    weigh(args, seen[m], scores[m], partials[m]);
    if (halves)
      mix_halves(args, seen[m], scores[m], partials[m]);
    else
      split_weights(args, seen[m], scores[m], weights[m]);
  }
  if (!halves) mix_codes<kRows>(args, weights, partials);
}

template <int kRows>
void run_all(const Args& args, std::int64_t row) {
  Args rest = args;  // what comes next is fetched once
  rest.num_next = 0;
  for (; row + kRows <= args.num_queries; row += kRows)
    run_rows<kRows>(row == 0 ? args : rest, args.queries + row, args.partials + row);
  if constexpr (kRows > 1)
    if (row < args.num_queries) run_all<kRows - 1>(args, row);
}

}  // namespace
}  // namespace quernel::kernels::kv_attention
