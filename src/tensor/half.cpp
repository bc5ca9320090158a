#include "tensor/half.h"

#include "base/check.h"

namespace quernel {

namespace {

// Without branches, so that the compiler turns the loops over rows into vector code on every architecture.

std::uint32_t select(bool condition, std::uint32_t yes, std::uint32_t no) { return condition ? yes : no; }

std::uint16_t narrow_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  const std::uint32_t quiet_nan = (bits >> 16) | 0x40u;
  return static_cast<std::uint16_t>(select((bits & 0x7FFFFFFFu) > 0x7F800000u, quiet_nan, rounded));
}

float widen_f16(std::uint16_t half) {
  const std::uint32_t sign = (std::uint32_t{half} & 0x8000u) << 16;
  const std::uint32_t magnitude = (std::uint32_t{half} & 0x7FFFu) << 13;
  const std::uint32_t exponent = magnitude & 0x0F800000u;
  const std::uint32_t normal = magnitude + (112u << 23);
  const std::uint32_t infinite = magnitude | 0x7F800000u;  // or NaN
  // A subnormal is fraction * 2^-24: as the fraction of a float of 2^-14 it needs only 2^-14 taken away, exactly.
  const auto subnormal =
      std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude + (113u << 23)) - std::bit_cast<float>(113u << 23));
  return std::bit_cast<float>(sign |
                              select(exponent == 0, subnormal, select(exponent == 0x0F800000u, infinite, normal)));
}

std::uint16_t narrow_f16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFu;
  const std::uint32_t normal = (magnitude + 0xFFFu + ((magnitude >> 13) & 1u) - 0x38000000u) >> 13;
  // Below 2^-14: adding 0.5 leaves the subnormal's integer in the low bits, rounded.
  const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5F) - 0x3F000000u;
  const std::uint32_t quiet_nan = 0x7E00u | ((magnitude >> 13) & 0x3FFu);
  const std::uint32_t finite = select(magnitude < 0x38800000u, subnormal, normal);
  const std::uint32_t number = select(magnitude >= 0x477FF000u, 0x7C00u, finite);  // 65520 and above round to infinity
  return static_cast<std::uint16_t>(sign | select(magnitude > 0x7F800000u, quiet_nan, number));
}

template <class From, class To, class Convert>
void convert_row(std::span<const From> from, std::span<To> to, Convert convert) {
  QUERNEL_CHECK(from.size() == to.size(), "{} values into {}", from.size(), to.size());
  const From* source = from.data();
  To* target = to.data();
  for (std::size_t i = 0; i < from.size(); ++i) target[i] = convert(source[i]);
}

}  // namespace

std::uint16_t float_to_bf16(float value) { return narrow_bf16(value); }
float f16_to_float(std::uint16_t bits) { return widen_f16(bits); }
std::uint16_t float_to_f16(float value) { return narrow_f16(value); }

// Lambdas, not function pointers: they are inlined.
void f16_to_float(std::span<const std::uint16_t> from, std::span<float> to) {
  convert_row(from, to, [](std::uint16_t bits) { return widen_f16(bits); });
}
void bf16_to_float(std::span<const std::uint16_t> from, std::span<float> to) {
  convert_row(from, to, [](std::uint16_t bits) { return bf16_to_float(bits); });
}
void float_to_f16(std::span<const float> from, std::span<std::uint16_t> to) {
  convert_row(from, to, [](float value) { return narrow_f16(value); });
}
void float_to_bf16(std::span<const float> from, std::span<std::uint16_t> to) {
  convert_row(from, to, [](float value) { return narrow_bf16(value); });
}

}  // namespace quernel
