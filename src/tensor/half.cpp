#include "tensor/half.h"

#include <cmath>

#include "base/check.h"

namespace quernel {

std::uint16_t float_to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

float f16_to_float(std::uint16_t bits) {
  const std::uint32_t sign = std::uint32_t{bits & 0x8000u} << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1Fu;
  const std::uint32_t fraction = bits & 0x3FFu;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000u | fraction << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  const float magnitude = static_cast<float>(fraction) * 0x1.0p-24F;  // subnormal: exact in float
  return sign != 0 ? -magnitude : magnitude;
}

std::uint16_t float_to_f16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return static_cast<std::uint16_t>(sign | 0x7E00u | ((magnitude >> 13) & 0x3FFu));
  if (magnitude >= 0x477FF000u) return static_cast<std::uint16_t>(sign | 0x7C00u);  // 65520 and above round to infinity
  if (magnitude < 0x38800000u) {  // below 2^-14: adding 0.5 leaves the subnormal's integer in the low bits, rounded
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3F000000u));
  }
  const std::uint32_t rounded = magnitude + 0xFFFu + ((magnitude >> 13) & 1u);
  return static_cast<std::uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
}

void f16_to_float(std::span<const std::uint16_t> from, std::span<float> to) {
  QUERNEL_CHECK(from.size() == to.size());
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = f16_to_float(from[i]);
}

void bf16_to_float(std::span<const std::uint16_t> from, std::span<float> to) {
  QUERNEL_CHECK(from.size() == to.size());
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = bf16_to_float(from[i]);
}

void float_to_f16(std::span<const float> from, std::span<std::uint16_t> to) {
  QUERNEL_CHECK(from.size() == to.size());
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = float_to_f16(from[i]);
}

void float_to_bf16(std::span<const float> from, std::span<std::uint16_t> to) {
  QUERNEL_CHECK(from.size() == to.size());
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = float_to_bf16(from[i]);
}

}  // namespace quernel
