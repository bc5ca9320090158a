// exp and tanh of sixteen floats. Include after one f32x16_*.h.
//
// Source   Cody-Waite reduction x = n ln 2 + r, |r| <= ln2 / 2, and the Taylor series of e^r to r^7 (rest below 2^-27)
#pragma once

namespace quernel::simd {
namespace {

struct ReducedExp {
  F32x16 n;  // whole
  F32x16 q;  // e^r - 1
};

inline ReducedExp reduce_exp(F32x16 x) {
  const F32x16 n = round_nearest(x * broadcast(1.44269504F));
  // ln 2 in two parts: the first has 11 bits, so that its product with n (at most 8 bits) is exact.
  const F32x16 r = fnma(n, broadcast(-2.12194440e-4F), fnma(n, broadcast(0.693359375F), x));
  F32x16 series = broadcast(1.0F / 5040);
  series = fma(series, r, broadcast(1.0F / 720));
  series = fma(series, r, broadcast(1.0F / 120));
  series = fma(series, r, broadcast(1.0F / 24));
  series = fma(series, r, broadcast(1.0F / 6));
  series = fma(series, r, broadcast(0.5F));
  return {n, fma(series, r * r, r)};
}

// Within 1.05 ulp of e^x, measured over a seventh of all floats (0.75 of a subnormal step below 2^-126); +infinity above
// 88.73, 0 below -103.98, NaN for NaN.
inline F32x16 exp(F32x16 x) {
  const F32x16 clamped = min(broadcast(89.0F), max(broadcast(-104.0F), x));
  const ReducedExp e = reduce_exp(clamped);
  return scale_by_power(e.q + broadcast(1.0F), e.n);
}

// Within 2.5 ulp, measured as above. tanh |x| = m / (m + 2) with m = e^(2|x|) - 1 = 2^n q + (2^n - 1): no digits are lost near 0.
inline F32x16 tanh(F32x16 x) {
  const F32x16 magnitude = min(broadcast(10.0F), abs(x));  // tanh 10 rounds to 1
  const ReducedExp e = reduce_exp(magnitude + magnitude);
  const F32x16 power = scale_by_power(broadcast(1.0F), e.n);
  const F32x16 m = fma(power, e.q, power - broadcast(1.0F));
  return copy_sign(m / (m + broadcast(2.0F)), x);
}

}  // namespace
}  // namespace quernel::simd
