// How the sum of a group enters the sum of a row (packed.h, Formula), for kIntLanes outputs. Included by instruction-set files after
// one simd/i8_*.h.
#pragma once

#include <type_traits>

#include "kernels/packed/packed.h"
#include "simd/inline.h"

namespace quernel::kernels::packed {
namespace {

using simd::Bytes;
using simd::Ints;
using simd::kIntLanes;
using simd::Reals;

// A policy is made from the parameters of one group of a panel, lanes from `first` on. It offers the formula in two ways:
//   raw       dot products of the codes as they are;  sum = add(sum, dot, X)
//   prepared  prepare(codes) are what is multiplied, sums begin at start(X) in INT32;  sum = add_prepared(sum, dot, X). Costs up to
//             two instructions a register of codes and saves two multiplications a group and row: it pays from three rows on
// kPrepares: prepared exists (bytes 0 .. 255 are multiplied). kRunsOn: prepared dots of all groups may run on in INT32.
// kChangesCodes: prepare() is not the identity. kBias: what dot_add takes off each code (simd/i8_avx2.h). kHasRoom: codes and zero
// points are at most 127, so that 128 + q - z is a byte.

template <int kBias>
struct TwoLevel {
  static constexpr bool kHasSuper = false;
  static constexpr bool kIsFixed = false;
  static constexpr bool kPrepares = true;
  static constexpr bool kChangesCodes = true;
  static constexpr bool kRunsOn = true;
  using Sum = Ints;
  Ints zero, scale;
  Bytes minus;  // s2 z - 128

  TwoLevel() = default;
  TwoLevel(const WeightView&, const std::uint8_t* panel, std::int64_t group, std::int64_t first) {
    const Ints both = simd::widen_u8(panel + group * param_bytes_of(Groups::two_level).group + first);
    zero = simd::low_half(both) - simd::splat(kBias);
    scale = simd::high_half(both) + simd::splat(1);
    minus = simd::repeat_byte(scale * zero - simd::splat(128));
  }
  static Sum none() { return simd::zero_ints(); }
  [[nodiscard]] Sum add(Sum sum, Ints dot, std::int32_t x_sum) const {
    return sum + scale * (dot - zero * simd::splat(x_sum));
  }
  // The same where the dot product is scaled already.
  [[nodiscard]] Sum add_scaled(Sum sum, Ints scaled, std::int32_t x_sum) const {
    return sum + (scaled - scale * zero * simd::splat(x_sum));
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

inline const std::uint16_t* halves(const std::uint8_t* bytes) { return reinterpret_cast<const std::uint16_t*>(bytes); }

template <bool kHasRoom, int kBias, Groups kKind>
struct WithZero : RealSum {
  static constexpr bool kIsFixed = kKind == Groups::f16_fixed || kKind == Groups::k_scale;
  static constexpr bool kHasSuper = param_bytes_of(kKind).super > 0;
  static constexpr bool kPrepares = kIsFixed || kHasRoom;
  static constexpr bool kChangesCodes = !kIsFixed;
  Reals scale;
  Ints zero;
  Bytes minus;  // z - 128

  WithZero() = default;
  WithZero(const WeightView& w, const std::uint8_t* panel, std::int64_t group, std::int64_t first) {
    constexpr ParamBytes kBytes = param_bytes_of(kKind);
    const std::uint8_t* params = panel + group_offset(kBytes, w.group_size, group);
    if constexpr (kKind == Groups::f32)
      scale = simd::load_reals(reinterpret_cast<const float*>(params) + first);
    else if constexpr (kKind == Groups::k_scale)
      scale = simd::load_half(halves(panel + super_offset(kBytes, w.group_size, group)) + first) *
              simd::to_reals(simd::widen_s8(params + first));
    else
      scale = simd::load_half(halves(params) + first);
    if constexpr (kIsFixed)
      zero = simd::splat(w.fixed_zero - kBias);
    else
      zero = simd::widen_u8(params + (kKind == Groups::f32 ? 64 : 32) + first) - simd::splat(kBias);
    minus = simd::repeat_byte(zero - simd::splat(128));
  }
  [[nodiscard]] Sum add(Sum sum, Ints dot, std::int32_t x_sum) const {
    return simd::fma(simd::to_reals(dot - zero * simd::splat(x_sum)), scale, sum);
  }
  static Ints start(const WeightView& w, std::int32_t x_sum) {
    return simd::splat(-(kIsFixed ? w.fixed_zero : 128) * x_sum);
  }
  [[nodiscard]] Bytes prepare(Bytes codes) const {
    if constexpr (kIsFixed) return codes;
    return simd::subtract_bytes(codes, minus);  // 128 + q - z
  }
  [[nodiscard]] Sum add_prepared(Sum sum, Ints dot, std::int32_t) const {
    return simd::fma(simd::to_reals(dot), scale, sum);
  }
};

template <int kBias, Groups kKind>
struct WithMinimum : RealSum {
  static constexpr bool kHasSuper = param_bytes_of(kKind).super > 0;
  static constexpr bool kIsFixed = true;
  static constexpr bool kPrepares = true;
  static constexpr bool kChangesCodes = false;
  Reals scale, minimum;

  WithMinimum() = default;
  WithMinimum(const WeightView& w, const std::uint8_t* panel, std::int64_t group, std::int64_t first) {
    constexpr ParamBytes kBytes = param_bytes_of(kKind);
    const std::uint8_t* params = panel + group_offset(kBytes, w.group_size, group);
    if constexpr (kKind == Groups::f16_min) {
      scale = simd::load_half(halves(params) + first);
      minimum = simd::load_half(halves(params) + kPanelOutputs + first);
    } else {
      const std::uint16_t* super = halves(panel + super_offset(kBytes, w.group_size, group));
      scale = simd::load_half(super + first) * simd::to_reals(simd::widen_u8(params + first));
      const Ints m = simd::zero_ints() - simd::widen_u8(params + kPanelOutputs + first);
      minimum = simd::load_half(super + kPanelOutputs + first) * simd::to_reals(m);
    }
  }
  [[nodiscard]] Sum add(Sum sum, Ints dot, std::int32_t x_sum) const {
    return add_prepared(sum, kBias == 0 ? dot : dot + simd::splat(kBias * x_sum), x_sum);
  }
  static Ints start(const WeightView&, std::int32_t) { return simd::zero_ints(); }
  [[nodiscard]] Bytes prepare(Bytes codes) const { return codes; }
  [[nodiscard]] Sum add_prepared(Sum sum, Ints dot, std::int32_t x_sum) const {
    return simd::fma(simd::splat(static_cast<float>(x_sum)), minimum, simd::fma(simd::to_reals(dot), scale, sum));
  }
};

// call(policy tag) for the weight's groups, where these codes can have them (packed.h, is_supported).
template <class Policy>
struct Tag {
  using Type = Policy;
};
template <Codes kCodes, Groups kKind, int kBias, class Call>
void with_kind(const Call& call) {
  if constexpr (!is_supported(kCodes, kKind))
    __builtin_unreachable();  // PackedWeight::make refuses it
  else if constexpr (kKind == Groups::two_level)
    call(Tag<TwoLevel<kBias>>{});
  else if constexpr (kKind == Groups::f16_min || kKind == Groups::k_min)
    call(Tag<WithMinimum<kBias, kKind>>{});
  else
    call(Tag<WithZero<(code_bits(kCodes) < 8 && kCodes != Codes::u4_table), kBias, kKind>>{});
}
template <Codes kCodes, int kBias, class Call>
void with_groups(Groups groups, const Call& call) {
  switch (groups) {
    case Groups::two_level: return with_kind<kCodes, Groups::two_level, kBias>(call);
    case Groups::f16: return with_kind<kCodes, Groups::f16, kBias>(call);
    case Groups::f16_fixed: return with_kind<kCodes, Groups::f16_fixed, kBias>(call);
    case Groups::f16_min: return with_kind<kCodes, Groups::f16_min, kBias>(call);
    case Groups::f32: return with_kind<kCodes, Groups::f32, kBias>(call);
    case Groups::k_scale: return with_kind<kCodes, Groups::k_scale, kBias>(call);
    case Groups::k_min: return with_kind<kCodes, Groups::k_min, kBias>(call);
  }
}
// call(codes tag) for the weight's codes.
template <class Call>
void with_codes(Codes codes, const Call& call) {
  switch (codes) {
    case Codes::u2: return call(std::integral_constant<Codes, Codes::u2>{});
    case Codes::u3: return call(std::integral_constant<Codes, Codes::u3>{});
    case Codes::u4: return call(std::integral_constant<Codes, Codes::u4>{});
    case Codes::u5: return call(std::integral_constant<Codes, Codes::u5>{});
    case Codes::u6: return call(std::integral_constant<Codes, Codes::u6>{});
    case Codes::u8: return call(std::integral_constant<Codes, Codes::u8>{});
    case Codes::u4_table: return call(std::integral_constant<Codes, Codes::u4_table>{});
  }
}

// Sums of the activations' codes over the groups of a weight.
struct GroupSums {
  const std::int32_t* sums;
  std::int64_t stride;
  std::int64_t per_group;
  std::int64_t last_count;  // of the last group, which may be shorter
  std::int64_t last_group;

  GroupSums(const Args& args, std::int64_t row)
      : sums(args.x.sums + row * args.x.sums_stride),
        stride(args.x.sums_stride),
        per_group(args.weight.group_size / args.x.sum_inputs),
        last_group(args.weight.num_groups() - 1) {
    const std::int64_t count = (args.x.stride + args.x.sum_inputs - 1) / args.x.sum_inputs;
    last_count = count - last_group * per_group;
  }
  [[nodiscard]] QUERNEL_INLINE std::int32_t of(std::int64_t m, std::int64_t group) const {
    const std::int32_t* from = sums + m * stride + group * per_group;
    return per_group == 1 ? *from : add(from, group == last_group ? last_count : per_group);
  }
  static std::int32_t add(const std::int32_t* from, std::int64_t count) {
    std::int32_t sum = 0;
    for (std::int64_t i = 0; i < count; ++i) sum += from[i];
    return sum;
  }
};

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
