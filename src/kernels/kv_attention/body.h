// kv_attention over the integers of simd/i8_*.h and floats: all keys of a run, then its weights, then all its values, so that each is read in
// one stream. Included by instruction-set files after one simd/i8_*.h, one simd/f32x16_*.h, simd/math_f32x16.h, kMaxRows and kMaxPanels:
// queries times panels whose sums of two parts fit the registers together.
#pragma once

#include <cstddef>

#include "kernels/kv_attention/body_mix.h"

namespace quernel::kernels::kv_attention {
namespace {

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
