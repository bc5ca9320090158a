// From the scores of a run to the weights of its values: mask, cap, exponentials, two parts. Included by kernels/kv_attention/body.h.
#pragma once

#include "kernels/kv_attention/body_scores.h"

namespace quernel::kernels::kv_attention {
namespace {

constexpr float kMaxSplit = 32512.0F;  // 255 * 127 + 127
constexpr float kNothing = -__builtin_inff();

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

}  // namespace
}  // namespace quernel::kernels::kv_attention
