// Whether a variant gives the bits of the reference on this machine: tails, an outlier, ties, what is no number.
#pragma once

#include "kernels/int_rows/table.h"

namespace quernel::kernels::int_rows {

bool gives_reference_bits(const Functions& functions, const Functions& reference);

}  // namespace quernel::kernels::int_rows
