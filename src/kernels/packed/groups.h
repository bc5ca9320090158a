// How the sum of a group enters the sum of a row (packed.h, Formula), for kIntLanes outputs. Included by instruction-set files after
// one simd/i8_*.h.
#pragma once

#include "kernels/packed/packed.h"
#include "simd/inline.h"

namespace quernel::kernels::packed {
namespace {

using simd::Bytes;
using simd::Ints;
using simd::kIntLanes;
using simd::Reals;

// A policy is made from the parameters of one group, lanes from `first` on. It offers the formula in two ways:
//   raw       dot products of the codes as they are;  sum = add(sum, dot, X)
//   prepared  prepare(codes) are what is multiplied, sums begin at start(X) in INT32;  sum = add_prepared(sum, dot, X). Costs up to
//             two instructions a register of codes and saves two multiplications a group and row: it pays from three rows on
// kPrepares: prepared exists (bytes 0 .. 255 are multiplied). kRunsOn: prepared dots of all groups may run on in INT32.
// kBias: what dot_add takes off each code (simd/i8_avx2.h).

template <Codes kCodes, int kBias>
struct TwoLevel {
  static constexpr Groups kGroups = Groups::two_level;
  static constexpr bool kPrepares = kCodes == Codes::u4;
  static constexpr bool kRunsOn = true;
  using Sum = Ints;
  Ints zero, scale;
  Bytes minus;  // s2 z - 128

  TwoLevel(const WeightView&, const std::uint8_t* params, std::int64_t first) {
    const Ints both = simd::widen_u8(params + first);
    zero = simd::low_half(both) - simd::splat(kBias);
    scale = simd::high_half(both) + simd::splat(1);
    minus = simd::repeat_byte(scale * zero - simd::splat(128));
  }
  static Sum none() { return simd::zero_ints(); }
  [[nodiscard]] Sum add(Sum sum, Ints dot, std::int32_t x_sum) const {
    return sum + scale * (dot - zero * simd::splat(x_sum));
  }
  static Ints start(const WeightView&, std::int32_t x_sum) { return simd::splat(-128 * x_sum); }
  [[nodiscard]] Bytes prepare(Bytes codes) const { return simd::scale_codes(codes, scale, minus); }  // 128 + s2 (q - z)
  static Reals finish(const WeightView& w, Sum sum, std::int64_t row, float x_scale) {
    return simd::to_reals(sum) * (simd::load_reals(w.row_scales + row) * simd::splat(x_scale));
  }
};

struct RealSum {
  static constexpr bool kRunsOn = false;
  using Sum = Reals;
  static Sum none() { return simd::zero_reals(); }
  static Reals finish(const WeightView&, Sum sum, std::int64_t, float x_scale) { return sum * simd::splat(x_scale); }
};

template <Codes kCodes, int kBias, Groups kKind>
struct WithZero : RealSum {
  static constexpr Groups kGroups = kKind;
  static constexpr bool kFixed = kKind == Groups::f16_fixed;
  static constexpr bool kPrepares = kFixed || kCodes == Codes::u4;
  Reals scale;
  Ints zero;
  Bytes minus;  // z - 128

  WithZero(const WeightView& w, const std::uint8_t* params, std::int64_t first) {
    if constexpr (kKind == Groups::f32)
      scale = simd::load_reals(reinterpret_cast<const float*>(params) + first);
    else
      scale = simd::load_half(reinterpret_cast<const std::uint16_t*>(params) + first);
    if constexpr (kFixed)
      zero = simd::splat(w.fixed_zero - kBias);
    else
      zero = simd::widen_u8(params + (kKind == Groups::f32 ? 64 : 32) + first) - simd::splat(kBias);
    minus = simd::repeat_byte(zero - simd::splat(128));
  }
  [[nodiscard]] Sum add(Sum sum, Ints dot, std::int32_t x_sum) const {
    return simd::fma(simd::to_reals(dot - zero * simd::splat(x_sum)), scale, sum);
  }
  static Ints start(const WeightView& w, std::int32_t x_sum) {
    return simd::splat(-(kFixed ? w.fixed_zero : 128) * x_sum);
  }
  [[nodiscard]] Bytes prepare(Bytes codes) const {
    if constexpr (kFixed) return codes;
    return simd::subtract_bytes(codes, minus);  // 128 + q - z
  }
  [[nodiscard]] Sum add_prepared(Sum sum, Ints dot, std::int32_t) const {
    return simd::fma(simd::to_reals(dot), scale, sum);
  }
};

template <int kBias>
struct WithMinimum : RealSum {
  static constexpr Groups kGroups = Groups::f16_min;
  static constexpr bool kPrepares = true;
  Reals scale, minimum;

  WithMinimum(const WeightView&, const std::uint8_t* params, std::int64_t first)
      : scale(simd::load_half(reinterpret_cast<const std::uint16_t*>(params) + first)),
        minimum(simd::load_half(reinterpret_cast<const std::uint16_t*>(params) + kPanelOutputs + first)) {}
  [[nodiscard]] Sum add(Sum sum, Ints dot, std::int32_t x_sum) const {
    return add_prepared(sum, kBias == 0 ? dot : dot + simd::splat(kBias * x_sum), x_sum);
  }
  static Ints start(const WeightView&, std::int32_t) { return simd::zero_ints(); }
  [[nodiscard]] Bytes prepare(Bytes codes) const { return codes; }
  [[nodiscard]] Sum add_prepared(Sum sum, Ints dot, std::int32_t x_sum) const {
    return simd::fma(simd::splat(static_cast<float>(x_sum)), minimum, simd::fma(simd::to_reals(dot), scale, sum));
  }
};

// call(policy tag) for the weight's kind.
template <class Policy>
struct Tag {
  using Type = Policy;
};
template <Codes kCodes, int kBias, class Call>
void with_groups(Groups groups, const Call& call) {
  switch (groups) {
    case Groups::two_level: return call(Tag<TwoLevel<kCodes, kBias>>{});
    case Groups::f16: return call(Tag<WithZero<kCodes, kBias, Groups::f16>>{});
    case Groups::f16_fixed: return call(Tag<WithZero<kCodes, kBias, Groups::f16_fixed>>{});
    case Groups::f16_min: return call(Tag<WithMinimum<kBias>>{});
    case Groups::f32: return call(Tag<WithZero<kCodes, kBias, Groups::f32>>{});
  }
}

// Sum of the activation's codes over inputs [from, to), multiples of kSumInputs.
inline std::int32_t sum_of(const std::int32_t* sums, std::int64_t from, std::int64_t to) {
  std::int32_t sum = 0;
  for (std::int64_t i = from / kSumInputs; i < to / kSumInputs; ++i) sum += sums[i];
  return sum;
}

// The last panel may have fewer than 16 outputs.
inline void store_outputs(const WeightView& w, float* out, std::int64_t row, Reals value) {
  const std::int64_t valid = w.rows - row;
  if (valid >= kIntLanes) return simd::store_reals(out + row, value);
  float lanes[kIntLanes];
  simd::store_reals(lanes, value);
  for (std::int64_t i = 0; i < valid; ++i) out[row + i] = lanes[i];
}

}  // namespace
}  // namespace quernel::kernels::packed
