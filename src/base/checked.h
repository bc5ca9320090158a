// Arithmetic that says when it wrapped. Every size that comes from a file passes through here before it is used.
//
// Exact    the result is the mathematical one, or nothing
// Threads  pure functions
#pragma once

#include <concepts>
#include <optional>
#include <utility>

namespace quernel {

template <std::integral T>
[[nodiscard]] constexpr std::optional<T> checked_add(T a, T b) {
  T sum{};
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

template <std::integral T>
[[nodiscard]] constexpr std::optional<T> checked_mul(T a, T b) {
  T product{};
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

// The value in another integer type, or nothing where it does not fit.
template <std::integral To, std::integral From>
[[nodiscard]] constexpr std::optional<To> checked_cast(From value) {
  if (!std::in_range<To>(value)) return std::nullopt;
  return static_cast<To>(value);
}

// Rounds up to a multiple; alignment is not 0.
template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> checked_align_up(T value, T alignment) {
  const T rest = value % alignment;
  if (rest == 0) return value;
  return checked_add<T>(value, alignment - rest);
}

// Ceiling division of non-negative numbers; divisor is positive.
template <std::integral T>
[[nodiscard]] constexpr T ceil_div(T value, T divisor) {
  return value / divisor + (value % divisor != 0 ? 1 : 0);
}

}  // namespace quernel
