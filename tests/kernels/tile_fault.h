// What a broken tile unit might do, for tests that must notice.
#pragma once

namespace quernel::simd {

enum class TileFault {
  none,
  pairs_of_16_bits,  // sums of two products saturate, as those of older instructions do
  lost_quad,         // the last four products of a row
  signed_weights,    // unsigned bytes taken for signed ones
};

}  // namespace quernel::simd
