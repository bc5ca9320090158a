// Products of queries with the keys of a page. Included by kernels/kv_attention/body.h.
#pragma once

#include "kernels/kv_attention/body_dots.h"

namespace quernel::kernels::kv_attention {
namespace {

using simd::broadcast;
using simd::F32x16;

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

}  // namespace
}  // namespace quernel::kernels::kv_attention
