// IEEE half (f16) and bfloat16 as 16-bit patterns, and their conversions.
//
// Exact    widening is exact; narrowing rounds to nearest, ties to even; overflow becomes infinity; NaN stays NaN (quiet)
// Threads  pure functions
#pragma once

#include <bit>
#include <cstdint>
#include <span>

namespace quernel {

inline float bf16_to_float(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
std::uint16_t float_to_bf16(float value);
float f16_to_float(std::uint16_t bits);
std::uint16_t float_to_f16(float value);

// Rows of values; both spans have the same length.
void f16_to_float(std::span<const std::uint16_t> from, std::span<float> to);
void bf16_to_float(std::span<const std::uint16_t> from, std::span<float> to);
void float_to_f16(std::span<const float> from, std::span<std::uint16_t> to);
void float_to_bf16(std::span<const float> from, std::span<std::uint16_t> to);

}  // namespace quernel
