// Whether a variant does on this machine what the reference does.
//
// Takes    every kind of weight, its groups inside a tile and over tiles, tails of outputs and inputs; random codes, and extremes of alternating
//          sign, where sums of 16 bits would saturate; one row, and enough for each entry: about 10 ms
// Errors   none: without memory for the samples nothing is found wrong
// Threads  pure
#pragma once

#include "kernels/packed/table.h"

namespace quernel::kernels::packed {

bool gives_reference_bits(const Variant& variant, Run reference);

}  // namespace quernel::kernels::packed
