// Is a value in a range? What C++23 calls std::ranges::contains.
//
// Threads  pure function
#pragma once

#include <algorithm>
#include <ranges>

namespace quernel {

template <std::ranges::input_range Range, class T>
constexpr bool contains(const Range& range, const T& value) {
  return std::ranges::find(range, value) != std::ranges::end(range);
}

}  // namespace quernel
