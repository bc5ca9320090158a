// Whether a variant gives the bits of the reference on this machine: powers below and above a register, with a core and without, several blocks.
#pragma once

#include "kernels/hadamard/table.h"

namespace quernel::kernels::hadamard {

bool gives_reference_bits(Transform transform, Transform reference);

}  // namespace quernel::kernels::hadamard
