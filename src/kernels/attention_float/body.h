// attention_float over F32x16. Included by instruction-set files after one simd/f32x16_*.h.
//
// For every block of 64 key positions: the keys are transposed once, so that lanes are keys; then for a tile of rows the
// scores (products over head_dim in rising order), the online softmax and the weighted sum of values (keys in rising order).
// None of a row's steps reads another row, and a key that a row does not see adds an exact 0 with weight 0.
#pragma once

#include "kernels/attention_float/attention_float.h"
#include "simd/math_f32x16.h"

namespace quernel::kernels::attention_float {
namespace {

using simd::broadcast;
using simd::F32x16;

constexpr std::int64_t kLanes = 16;
constexpr int kGroups = kKeyBlock / kLanes;  // registers of one row of scores
constexpr float kNoMaximum = -3e38F;         // finite, so that no difference of maxima is NaN
constexpr std::int64_t kTileBuffer = 16 * kKeyBlock;

static_assert(kMaxTileRows <= 16 && kKeyBlock % kLanes == 0 && kGroups % kScoreGroups == 0);

// One block of keys as the call sees it; positions relative to `base`.
struct Block {
  std::int64_t base;         // position, a multiple of kKeyBlock
  std::int64_t first, last;  // keys present: first <= position - base < last
};

struct Rows {
  const float* q[kMaxTileRows];
  float* out[kMaxTileRows];
  std::int64_t first[kMaxTileRows], last[kMaxTileRows];  // visible keys of the block: first <= index < last
  float* maximum;                                        // of each row so far
  float* sum;
};

std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
std::int64_t larger(std::int64_t a, std::int64_t b) { return a > b ? a : b; }

// transposed[d * kKeyBlock + index]; absent keys are 0.
void transpose_keys(const Args& args, const Block& block, float* transposed) {
  if (block.first > 0)
    for (std::int64_t i = 0; i < args.head_dim * kKeyBlock; ++i) transposed[i] = 0.0F;
  for (std::int64_t index = block.first / kLanes * kLanes; index < kKeyBlock; index += kLanes) {
    // Of the sixteen, those before the first key are left 0.
    const std::int64_t skip = larger(block.first - index, 0);
    const std::int64_t count = smaller(block.last - index, kLanes) - skip;
    const float* keys = args.keys + (block.base + index + skip - args.first_key) * args.key_stride;
    for (std::int64_t d = 0; d < args.head_dim; d += kLanes) {
      const std::int64_t dims = smaller(args.head_dim - d, kLanes);
      float* to = transposed + d * kKeyBlock + index;
      if (skip == 0) {
        simd::transpose_to(keys + d, args.key_stride, larger(count, 0), dims, to, kKeyBlock);
        continue;
      }
      for (std::int64_t key = 0; key < count; ++key)
        for (std::int64_t i = 0; i < dims; ++i) to[i * kKeyBlock + skip + key] = keys[key * args.key_stride + d + i];
    }
  }
}

template <int kRows>
void compute_scores(const Args& args, const Rows& rows, const float* transposed, float* scores) {
  for (int group = 0; group < kGroups; group += kScoreGroups) {
    F32x16 sums[kRows][kScoreGroups];
    for (auto& of_row : sums)
      for (F32x16& sum : of_row) sum = broadcast(0.0F);
    const float* keys = transposed + group * kLanes;
    for (std::int64_t d = 0; d < args.head_dim; ++d, keys += kKeyBlock)
      for (int g = 0; g < kScoreGroups; ++g) {
        const F32x16 key = simd::load(keys + g * kLanes);
        for (int r = 0; r < kRows; ++r) sums[r][g] = fma(broadcast(rows.q[r][d]), key, sums[r][g]);
      }
    for (int r = 0; r < kRows; ++r)
      for (int g = 0; g < kScoreGroups; ++g)
        simd::store(scores + r * kKeyBlock + (group + g) * kLanes, sums[r][g] * broadcast(args.scale));
  }
}

// scores become weights; returns the factor for what the row has summed before.
float softmax_step(const Args& args, float* scores, std::int64_t first, std::int64_t last, float& maximum, float& sum) {
  constexpr float kHidden = -__builtin_inff();
  F32x16 s[kGroups];
  F32x16 top = broadcast(maximum);
  for (int g = 0; g < kGroups; ++g) {
    s[g] = simd::load(scores + g * kLanes);
    if (args.soft_cap > 0.0F) s[g] = broadcast(args.soft_cap) * simd::tanh(s[g] / broadcast(args.soft_cap));
    const std::int64_t start = smaller(larger(first - g * kLanes, 0), kLanes);
    const std::int64_t end = smaller(larger(last - g * kLanes, 0), kLanes);
    if (start > 0 || end < kLanes) s[g] = keep_range(s[g], start, end, kHidden);
    top = max(top, s[g]);
  }
  const float new_maximum = reduce_max(top);
  const F32x16 shift = broadcast(new_maximum);
  F32x16 total = broadcast(0.0F);
  for (int g = 0; g < kGroups; ++g) {
    const F32x16 weight = simd::exp(s[g] - shift);
    simd::store(scores + g * kLanes, weight);
    total = total + weight;
  }
  float factors[kLanes];
  simd::store(factors, simd::exp(broadcast(maximum - new_maximum)));
  maximum = new_maximum;
  sum = sum * factors[0] + reduce_add(total);
  return factors[0];
}

// out[r][d ..] = out * factor + weights x values over keys first .. last-1 of the block, kWidth registers of columns;
// the last register holds `count` columns.
template <int kRows, int kWidth>
void add_values(const Args& args, const Rows& rows, const float* values, const float* weights, const float* factors,
                std::int64_t first, std::int64_t last, std::int64_t d, std::int64_t count) {
  F32x16 sums[kRows][kWidth];
  for (int r = 0; r < kRows; ++r)
    for (int w = 0; w < kWidth; ++w) {
      const float* from = rows.out[r] + d + w * kLanes;
      const F32x16 before = count < kLanes ? simd::load_partial(from, count, 0.0F) : simd::load(from);
      sums[r][w] = before * broadcast(factors[r]);
    }
  for (std::int64_t index = first; index < last; ++index)
    for (int w = 0; w < kWidth; ++w) {
      const float* from = values + index * args.value_stride + d + w * kLanes;
      const F32x16 value = count < kLanes ? simd::load_partial(from, count, 0.0F) : simd::load(from);
      for (int r = 0; r < kRows; ++r) sums[r][w] = fma(broadcast(weights[r * kKeyBlock + index]), value, sums[r][w]);
    }
  for (int r = 0; r < kRows; ++r)
    for (int w = 0; w < kWidth; ++w) {
      float* to = rows.out[r] + d + w * kLanes;
      if (count < kLanes)
        simd::store_partial(to, count, sums[r][w]);
      else
        simd::store(to, sums[r][w]);
    }
}

template <int kRows>
void run_tile(const Args& args, const Block& block, const Rows& rows, const float* transposed, float* scores) {
  compute_scores<kRows>(args, rows, transposed, scores);
  float factors[kRows];
  std::int64_t first = kKeyBlock;
  std::int64_t last = 0;
  for (int r = 0; r < kRows; ++r) {
    factors[r] = softmax_step(args, scores + r * kKeyBlock, rows.first[r], rows.last[r], rows.maximum[r], rows.sum[r]);
    if (rows.first[r] >= rows.last[r]) continue;
    first = smaller(first, rows.first[r]);
    last = larger(last, rows.last[r]);
  }
  if (first >= last) return;
  // `first` may stand before a block's first key only where there is no key; then it was moved up by visible_range.
  const float* values = args.values + (block.base - args.first_key) * args.value_stride;
  std::int64_t d = 0;
  for (; d + kValueGroups * kLanes <= args.head_dim; d += kValueGroups * kLanes)
    add_values<kRows, kValueGroups>(args, rows, values, scores, factors, first, last, d, kLanes);
  for (; d < args.head_dim; d += kLanes)
    add_values<kRows, 1>(args, rows, values, scores, factors, first, last, d, smaller(args.head_dim - d, kLanes));
}

// Row numbers count heads within tokens: row = token * num_heads + head.
void visible_range(const Args& args, const Block& block, std::int64_t row, std::int64_t& first, std::int64_t& last) {
  const std::int64_t position = args.first_query + row / args.num_heads;
  first = block.first;
  if (args.window > 0) first = larger(first, position - args.window + 1 - block.base);
  last = smaller(block.last, position + 1 - block.base);
}

void run_block(const Args& args, const Block& block, const float* transposed, float* scores, float* maxima,
               float* sums) {
  const std::int64_t num_rows = args.num_tokens * args.num_heads;
  for (std::int64_t row = 0; row < num_rows; row += kMaxTileRows) {
    Rows rows{};
    const std::int64_t count = smaller(num_rows - row, kMaxTileRows);
    bool any_visible = false;
    for (std::int64_t r = 0; r < count; ++r) {
      const std::int64_t token = (row + r) / args.num_heads;
      const std::int64_t head = (row + r) % args.num_heads;
      rows.q[r] = args.q + token * args.q_token_stride + head * args.q_head_stride;
      rows.out[r] = args.out + token * args.out_token_stride + head * args.out_head_stride;
      visible_range(args, block, row + r, rows.first[r], rows.last[r]);
      any_visible = any_visible || rows.first[r] < rows.last[r];
    }
    if (!any_visible) continue;
    rows.maximum = maxima + row;
    rows.sum = sums + row;
    switch (count) {
      case 1: run_tile<1>(args, block, rows, transposed, scores); break;
      case 2: run_tile<2>(args, block, rows, transposed, scores); break;
      case 3: run_tile<3>(args, block, rows, transposed, scores); break;
      case 4: run_tile<4>(args, block, rows, transposed, scores); break;
      case 5: run_tile<5>(args, block, rows, transposed, scores); break;
      default: run_tile<kMaxTileRows>(args, block, rows, transposed, scores); break;
    }
  }
}

// First and last position any query of the call can see.
Block whole_range(const Args& args) {
  std::int64_t first = args.first_key;
  if (args.window > 0) first = larger(first, args.first_query - args.window + 1);
  return {0, first, smaller(args.first_key + args.num_keys, args.first_query + args.num_tokens)};
}

void run_all(const Args& args) {
  float* transposed = args.scratch;
  float* scores = transposed + kKeyBlock * args.head_dim;
  float* maxima = scores + kTileBuffer;
  const std::int64_t num_rows = args.num_tokens * args.num_heads;
  float* sums = maxima + num_rows;
  for (std::int64_t row = 0; row < num_rows; ++row) {
    maxima[row] = kNoMaximum;
    sums[row] = 0.0F;
    float* out = args.out + row / args.num_heads * args.out_token_stride + row % args.num_heads * args.out_head_stride;
    for (std::int64_t d = 0; d < args.head_dim; ++d) out[d] = 0.0F;
  }
  const Block range = whole_range(args);
  for (std::int64_t base = range.first / kKeyBlock * kKeyBlock; base < range.last; base += kKeyBlock) {
    const Block block{base, larger(range.first - base, 0), smaller(range.last - base, kKeyBlock)};
    transpose_keys(args, block, transposed);
    run_block(args, block, transposed, scores, maxima, sums);
  }
  for (std::int64_t row = 0; row < num_rows; ++row) {
    float* out = args.out + row / args.num_heads * args.out_token_stride + row % args.num_heads * args.out_head_stride;
    const float inverse = 1.0F / sums[row];
    for (std::int64_t d = 0; d < args.head_dim; ++d) out[d] *= inverse;
  }
}

}  // namespace
}  // namespace quernel::kernels::attention_float
