// For what must not stay a call in a kernel: sums would live in memory between calls, and g++ 12 gives up inlining before it is done.
#pragma once

#define QUERNEL_INLINE __attribute__((always_inline)) inline
#define QUERNEL_INLINE_LAMBDA __attribute__((always_inline))
