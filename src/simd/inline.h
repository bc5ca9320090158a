// For what must not stay a call in a kernel: sums would live in memory between calls, and g++ 12 gives up inlining before it is done.
#pragma once

#include <type_traits>
#include <utility>

#define QUERNEL_INLINE __attribute__((always_inline)) inline
#define QUERNEL_INLINE_LAMBDA __attribute__((always_inline))

namespace quernel::simd {
namespace {

template <int value>
using Index = std::integral_constant<int, value>;

// call(Index<0>) .. call(Index<kCount - 1>). Arrays that are indexed by constants alone live in registers; one loop that is unrolled too
// late keeps them in memory.
template <int kCount, class Call>
QUERNEL_INLINE void for_each(const Call& call) {
  [&]<int... kIndexes>(std::integer_sequence<int, kIndexes...>)
      QUERNEL_INLINE_LAMBDA { (call(Index<kIndexes>{}), ...); }(std::make_integer_sequence<int, kCount>{});
}

}  // namespace
}  // namespace quernel::simd
