// Two-part products of some queries, or of their weights, with the codes of one panel of a page or of two that share what is loaded of the
// queries: loads would bound a panel alone, two loads a query and quad for two products. Included by kernels/kv_attention/body.h.
#pragma once

#include "kernels/kv_attention/kv_attention.h"
#include "simd/inline.h"

namespace quernel::kernels::kv_attention {
namespace {

using simd::Bytes;
using simd::Ints;
using simd::kIntLanes;

constexpr float kSplitBase = 255.0F;

template <int kRows, int kPanels>
struct Dots {
  Ints high[kPanels][kRows], low[kPanels][kRows];
};

// A row of two parts that multiplies codes: a query's, or the weights of a page.
struct Parts {
  const std::int8_t* high;
  const std::int8_t* low;
  std::int32_t high_sum;
  std::int32_t low_sum;
};

// call(Index panel, Index row)
template <int kRows, int kPanels, class Call>
QUERNEL_INLINE void for_all(const Call& call) {
  simd::for_each<kPanels>(
      [&](auto p) QUERNEL_INLINE_LAMBDA { simd::for_each<kRows>([&](auto m) QUERNEL_INLINE_LAMBDA { call(p, m); }); });
}

template <int kRows, int kPanels>
QUERNEL_INLINE void begin_dots(const Parts (&rows)[kRows], Dots<kRows, kPanels>& dots) {
  for_all<kRows, kPanels>([&](auto p, auto m) QUERNEL_INLINE_LAMBDA {
    dots.high[p][m] = simd::splat(simd::kWideByteBias * rows[m].high_sum);
    dots.low[p][m] = simd::splat(simd::kWideByteBias * rows[m].low_sum);
  });
}

template <int kRows, int kPanels>
QUERNEL_INLINE void add_quad(const Parts (&rows)[kRows], std::int64_t quad, const Bytes (&codes)[kPanels],
                             Dots<kRows, kPanels>& dots) {
  simd::for_each<kRows>([&](auto m) QUERNEL_INLINE_LAMBDA {
    const std::int32_t high = simd::load_quad(rows[m].high + 4 * quad);
    simd::for_each<kPanels>(
        [&](auto p) QUERNEL_INLINE_LAMBDA { dots.high[p][m] = simd::dot_add(dots.high[p][m], codes[p], high); });
    const std::int32_t low = simd::load_quad(rows[m].low + 4 * quad);
    simd::for_each<kPanels>(
        [&](auto p) QUERNEL_INLINE_LAMBDA { dots.low[p][m] = simd::dot_add(dots.low[p][m], codes[p], low); });
  });
}

// Panels `stride` bytes apart from `at` on. `ahead`: what is read later in the same places; any address, null: nothing.
struct PanelPlace {
  const std::uint8_t* at;
  const std::uint8_t* ahead;
  std::int64_t stride;
};

// All quads of the outputs of the panels: num_quads units, 8 bits, or half as many pairs of units, 4 bits.
template <int kBits, bool kFetch, int kRows, int kPanels>
QUERNEL_INLINE void add_quads(const PanelPlace& place, std::int64_t num_quads, const Parts (&rows)[kRows],
                              Dots<kRows, kPanels>& dots) {
  const std::int64_t units = num_quads * kBits / 8;
  for (std::int64_t j = 0; j < units; ++j) {
    Bytes units_at[kPanels];
    simd::for_each<kPanels>([&](auto p) QUERNEL_INLINE_LAMBDA {
      if constexpr (kFetch) simd::prefetch(place.ahead + p * place.stride + j * 64);
      units_at[p] = simd::load_bytes(place.at + p * place.stride + j * 64);
    });
    if constexpr (kBits == 8) {
      add_quad<kRows>(rows, j, units_at, dots);
    } else {
      Bytes half[kPanels];
      simd::for_each<kPanels>([&](auto p) QUERNEL_INLINE_LAMBDA { half[p] = simd::move_bits<0, 15>(units_at[p]); });
      add_quad<kRows>(rows, j, half, dots);
      simd::for_each<kPanels>([&](auto p) QUERNEL_INLINE_LAMBDA { half[p] = simd::move_bits<4, 15>(units_at[p]); });
      add_quad<kRows>(rows, j + units, half, dots);
    }
  }
}

inline simd::Reals whole(Ints high, Ints low) {
  return simd::fma(simd::splat(kSplitBase), simd::to_reals(high), simd::to_reals(low));
}

}  // namespace
}  // namespace quernel::kernels::kv_attention
