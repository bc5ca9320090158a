// kv_attention over the integers of simd/i8_*.h and the floats of simd/f32x16_*.h. Included by instruction-set files after one of each,
// simd/math_f32x16.h, and kMaxRows: queries whose sums of two parts fit the registers together.
#pragma once

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
  for (int m = 0; m < kRows; ++m) {
    dots.high[m] = simd::splat(simd::kWideByteBias * rows[m].high_sum);
    dots.low[m] = simd::splat(simd::kWideByteBias * rows[m].low_sum);
  }
}

template <int kRows>
QUERNEL_INLINE void add_quad(const Parts (&rows)[kRows], std::int64_t quad, Bytes codes, Dots<kRows>& dots) {
  for (int m = 0; m < kRows; ++m) {
    dots.high[m] = simd::dot_add(dots.high[m], codes, simd::load_quad(rows[m].high + 4 * quad));
    dots.low[m] = simd::dot_add(dots.low[m], codes, simd::load_quad(rows[m].low + 4 * quad));
  }
}

// All quads of the outputs at `at`: num_quads units, 8 bits, or half as many pairs of units, 4 bits.
template <int kBits, int kRows>
QUERNEL_INLINE void add_quads(const std::uint8_t* at, std::int64_t num_quads, const Parts (&rows)[kRows], Dots<kRows>& dots) {
  if constexpr (kBits == 8) {
    for (std::int64_t j = 0; j < num_quads; ++j) add_quad<kRows>(rows, j, simd::load_bytes(at + j * 64), dots);
  } else {
    const std::int64_t pairs = num_quads / 2;
    for (std::int64_t j = 0; j < pairs; ++j) {
      const Bytes both = simd::load_bytes(at + j * 64);
      add_quad<kRows>(rows, j, simd::low_nibbles(both), dots);
      add_quad<kRows>(rows, j + pairs, simd::high_nibbles(both), dots);
    }
  }
}

inline simd::Reals whole(Ints high, Ints low) {
  return simd::fma(simd::splat(kSplitBase), simd::to_reals(high), simd::to_reals(low));
}

struct PageView {
  const std::uint8_t* keys;
  const std::uint8_t* values;
  const std::uint16_t* params;
  const std::uint16_t* centers;
  PageView(const Page& page, std::int64_t head_dim) {
    const PageLayout at = page_layout(head_dim, page.bits);
    keys = page.data;
    values = page.data + at.values;
    params = reinterpret_cast<const std::uint16_t*>(page.data + at.params);
    centers = reinterpret_cast<const std::uint16_t*>(page.data + at.centers);
  }
};

// What a query gathers over a run.
struct RowState {
  float max = kNothing;
  float sum = 0.0F;
  float offset = 0.0F;  // part of every mixed value
};

inline float dot_f16(const float* x, const std::uint16_t* y, std::int64_t size) {
  F32x16 sum = broadcast(0.0F);
  for (std::int64_t i = 0; i < size; i += 16) {
    const F32x16 a = size - i >= 16 ? simd::load(x + i) : simd::load_partial(x + i, size - i, 0.0F);
    const F32x16 b = size - i >= 16 ? simd::load_f16(y + i) : simd::load_partial_f16(y + i, size - i);
    sum = fma(a, b, sum);
  }
  return reduce_add(sum);
}

// Scores of 32 positions, before masking.
struct PageScores {
  F32x16 half[2];
};

template <int kBits, int kRows>
void score_codes(const Args& args, const PageView& page, const Query* queries, PageScores (&scores)[kRows]) {
  const std::int64_t quads = args.head_dim / 4;
  const std::int64_t panel_bytes = quads * 64 * kBits / 8;
  Parts rows[kRows];
  for (int m = 0; m < kRows; ++m) rows[m] = {queries[m].high, queries[m].low, queries[m].high_sum, queries[m].low_sum};
  float dots[kRows][kPageTokens];
  for (std::int64_t t = 0; t < kPageTokens; t += kIntLanes) {
    Dots<kRows> sums;
    begin_dots<kRows>(rows, sums);
    add_quads<kBits, kRows>(page.keys + (t / 16) * panel_bytes + 4 * (t % 16), quads, rows, sums);
    for (int m = 0; m < kRows; ++m) simd::store_reals(dots[m] + t, whole(sums.high[m], sums.low[m]));
  }
  for (int m = 0; m < kRows; ++m) {
    const float step = args.scale * queries[m].scale;
    const float sum = step * (kSplitBase * static_cast<float>(queries[m].high_sum) + static_cast<float>(queries[m].low_sum));
    const float center = kBits == 4 ? args.scale * dot_f16(queries[m].values, page.centers, args.head_dim) : 0.0F;
    for (int h = 0; h < 2; ++h) {
      const F32x16 base = fma(simd::load_f16(page.params + kPageTokens + 16 * h), broadcast(sum), broadcast(center));
      scores[m].half[h] = fma(simd::load(dots[m] + 16 * h) * broadcast(step), simd::load_f16(page.params + 16 * h), base);
    }
  }
}

template <int kRows>
void score_halves(const Args& args, const PageView& page, const Query* queries, PageScores (&scores)[kRows]) {
  for (auto& score : scores) score.half[0] = score.half[1] = broadcast(0.0F);
  const auto* keys = reinterpret_cast<const std::uint16_t*>(page.keys);
  for (std::int64_t d = 0; d < args.head_dim; ++d)
    for (int h = 0; h < 2; ++h) {
      const F32x16 key = simd::load_f16(keys + d * kPageTokens + 16 * h);
      for (int m = 0; m < kRows; ++m) scores[m].half[h] = fma(broadcast(queries[m].values[d]), key, scores[m].half[h]);
    }
  for (auto& score : scores)
    for (F32x16& half : score.half) half = half * broadcast(args.scale);
}

// Positions of the page that the query sees: [first, end) within 0 .. 32.
struct Visible {
  std::int64_t first;
  std::int64_t end;
};
inline Visible visible_of(const Args& args, const Query& query, std::int64_t page_position) {
  const std::int64_t last = query.position - page_position + 1;
  const std::int64_t oldest = args.window > 0 ? last - args.window : 0;
  return {oldest < 0 ? 0 : oldest, last > kPageTokens ? kPageTokens : last};
}

inline bool sees_all(const Visible& seen) { return seen.first == 0 && seen.end == kPageTokens; }

// Positions that are not seen become `fill`: there may be anything, even what is no number.
inline void keep_seen(const Visible& seen, float fill, F32x16 (&halves)[2]) {
  if (sees_all(seen)) return;
  for (std::int64_t h = 0; h < 2; ++h) {
    const auto within = [&](std::int64_t i) { return i - 16 * h < 0 ? 0 : i - 16 * h > 16 ? 16 : i - 16 * h; };
    const std::int64_t first = within(seen.first);
    const std::int64_t end = within(seen.end);
    halves[h] = end > first ? keep_range(halves[h], first, end, fill) : broadcast(fill);
  }
}

inline void mask(const Args& args, const Visible& seen, PageScores& scores) {
  if (args.soft_cap > 0.0F)
    for (F32x16& half : scores.half) half = broadcast(args.soft_cap) * simd::tanh(half / broadcast(args.soft_cap));
  keep_seen(seen, kNothing, scores.half);
}

inline void scale_row(float* row, std::int64_t size, float factor) {
  for (std::int64_t d = 0; d < size; d += 16) simd::store(row + d, simd::load(row + d) * broadcast(factor));
}

// Scores become weights exp(s - max); what was gathered before is brought to the new maximum.
inline void weigh(PageScores& scores, RowState& state, float* mixed, std::int64_t size) {
  const float page_max = reduce_max(max(scores.half[0], scores.half[1]));
  if (page_max > state.max) {
    if (state.max != kNothing) {
      const float keep = first_of(simd::exp(broadcast(state.max - page_max)));
      state.sum *= keep;
      state.offset *= keep;
      scale_row(mixed, size, keep);
    }
    state.max = page_max;
  }
  for (F32x16& half : scores.half) half = simd::exp(half - broadcast(state.max));
  state.sum += reduce_add(scores.half[0] + scores.half[1]);
}

// Weights of a page times the scales of its values, in two parts.
struct PageWeights {
  alignas(64) std::int8_t high[kPageTokens];
  alignas(64) std::int8_t low[kPageTokens];
  std::int32_t high_sum;
  std::int32_t low_sum;
  float scale;
};

inline void split_weights(const PageView& page, const PageScores& weights, const Visible& seen, RowState& state, PageWeights& out) {
  F32x16 scaled[2];
  F32x16 offsets[2];
  for (int h = 0; h < 2; ++h) {
    scaled[h] = weights.half[h] * simd::load_f16(page.params + 2 * kPageTokens + 16 * h);
    offsets[h] = weights.half[h] * simd::load_f16(page.params + 3 * kPageTokens + 16 * h);
  }
  keep_seen(seen, 0.0F, scaled);
  keep_seen(seen, 0.0F, offsets);
  state.offset += reduce_add(offsets[0] + offsets[1]);
  const float largest = reduce_max(max(scaled[0], scaled[1]));
  const float inverse = kMaxSplit / largest;
  const bool usable = inverse <= 3.402823466e38F;  // else all values of the page are one number: the offset
  out.scale = usable ? largest / kMaxSplit : 0.0F;
  F32x16 sums[2] = {broadcast(0.0F), broadcast(0.0F)};
  for (int h = 0; h < 2; ++h) {
    const F32x16 v = simd::round_nearest(scaled[h] * broadcast(usable ? inverse : 0.0F));
    const F32x16 high = simd::round_nearest(v / broadcast(kSplitBase));
    const F32x16 low = v - high * broadcast(kSplitBase);
    simd::store_i8(out.high + 16 * h, high);
    simd::store_i8(out.low + 16 * h, low);
    sums[0] = sums[0] + high;
    sums[1] = sums[1] + low;
  }
  if constexpr (simd::kWideByteBias != 0) {
    out.high_sum = static_cast<std::int32_t>(reduce_add(sums[0]));
    out.low_sum = static_cast<std::int32_t>(reduce_add(sums[1]));
  } else {
    out.high_sum = out.low_sum = 0;
  }
}

template <int kBits, int kRows>
void mix_codes(const PageView& page, std::int64_t size, const PageWeights (&weights)[kRows], const Partial* partials) {
  constexpr std::int64_t kQuads = kPageTokens / 4;
  Parts rows[kRows];
  for (int m = 0; m < kRows; ++m) rows[m] = {weights[m].high, weights[m].low, weights[m].high_sum, weights[m].low_sum};
  for (std::int64_t d = 0; d < size; d += kIntLanes) {
    Dots<kRows> sums;
    begin_dots<kRows>(rows, sums);
    add_quads<kBits, kRows>(page.values + (d / 16) * (kQuads * 64 * kBits / 8) + 4 * (d % 16), kQuads, rows, sums);
    for (int m = 0; m < kRows; ++m) {
      float* mixed = partials[m].mixed + d;
      simd::store_reals(mixed, simd::fma(whole(sums.high[m], sums.low[m]), simd::splat(weights[m].scale), simd::load_reals(mixed)));
    }
  }
}

template <int kRows>
void mix_halves(const PageView& page, std::int64_t size, const PageScores* weights, const Visible& seen, const Partial* partials) {
  float p[kRows][kPageTokens];
  for (int m = 0; m < kRows; ++m)
    for (int h = 0; h < 2; ++h) simd::store(p[m] + 16 * h, weights[m].half[h]);
  const auto* values = reinterpret_cast<const std::uint16_t*>(page.values);
  for (std::int64_t d = 0; d < size; d += 16) {
    F32x16 sums[kRows];
    for (int m = 0; m < kRows; ++m) sums[m] = simd::load(partials[m].mixed + d);
    for (std::int64_t t = seen.first; t < seen.end; ++t) {
      const F32x16 value = simd::load_f16(values + t * size + d);
      for (int m = 0; m < kRows; ++m) sums[m] = fma(broadcast(p[m][t]), value, sums[m]);
    }
    for (int m = 0; m < kRows; ++m) simd::store(partials[m].mixed + d, sums[m]);
  }
}

inline void prefetch_page(const Page& page, std::int64_t head_dim) {
  const std::int64_t bytes = page_layout(head_dim, page.bits).bytes;
  for (std::int64_t i = 0; i < bytes; i += 64) simd::prefetch(page.data + i);
}

template <int kBits, int kRows>
void attend_page(const Args& args, const Page& page, std::int64_t position, const Query* queries, Partial* partials,
                 RowState (&states)[kRows]) {
  const PageView view(page, args.head_dim);
  const std::int64_t size = padded_dim(args.head_dim);
  PageScores scores[kRows];
  if constexpr (kBits == 16)
    score_halves<kRows>(args, view, queries, scores);
  else
    score_codes<kBits, kRows>(args, view, queries, scores);
  PageWeights weights[kRows];
  Visible seen[kRows];
  bool all = true;
  for (int m = 0; m < kRows; ++m) {
    seen[m] = visible_of(args, queries[m], position);
    all = all && sees_all(seen[m]);
    if (seen[m].end <= seen[m].first) {
      seen[m] = {0, 0};
      scores[m].half[0] = scores[m].half[1] = broadcast(0.0F);
    } else {
      mask(args, seen[m], scores[m]);
      weigh(scores[m], states[m], partials[m].mixed, size);
    }
    if constexpr (kBits != 16) split_weights(view, scores[m], seen[m], states[m], weights[m]);
  }
  if constexpr (kBits != 16) {
    mix_codes<kBits, kRows>(view, size, weights, partials);
  } else if (all) {
    mix_halves<kRows>(view, size, scores, seen[0], partials);
  } else {
    for (int m = 0; m < kRows; ++m) mix_halves<1>(view, size, scores + m, seen[m], partials + m);
  }
}

template <int kRows>
void run_rows(const Args& args, const Query* queries, Partial* partials) {
  const std::int64_t size = padded_dim(args.head_dim);
  RowState states[kRows];
  std::int64_t last = queries[0].position;
  for (int m = 0; m < kRows; ++m) {
    last = queries[m].position > last ? queries[m].position : last;
    for (std::int64_t d = 0; d < size; d += 16) simd::store(partials[m].mixed + d, broadcast(0.0F));
  }
  for (std::int64_t i = 0; i < args.num_pages; ++i) {
    const std::int64_t position = args.first_position + i * kPageTokens;
    if (position > last) break;
    if (i + 1 < args.num_pages) prefetch_page(args.pages[i + 1], args.head_dim);
    const Page& page = args.pages[i];
    if (page.bits == 8)
      attend_page<8, kRows>(args, page, position, queries, partials, states);
    else if (page.bits == 4)
      attend_page<4, kRows>(args, page, position, queries, partials, states);
    else
      attend_page<16, kRows>(args, page, position, queries, partials, states);
  }
  for (int m = 0; m < kRows; ++m) {
    partials[m].max = states[m].max;
    partials[m].sum = states[m].sum;
    for (std::int64_t d = 0; d < size; d += 16)
      simd::store(partials[m].mixed + d, simd::load(partials[m].mixed + d) + broadcast(states[m].offset));
  }
}

template <int kRows>
void run_all(const Args& args, std::int64_t row) {
  for (; row + kRows <= args.num_queries; row += kRows) run_rows<kRows>(args, args.queries + row, args.partials + row);
  if constexpr (kRows > 1)
    if (row < args.num_queries) run_all<kRows - 1>(args, row);
}

}  // namespace
}  // namespace quernel::kernels::kv_attention
