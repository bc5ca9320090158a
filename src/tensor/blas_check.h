// Whether the matrix library multiplies, factors and inverts rightly on this machine. Cores of OpenBLAS have not always (its SME products
// under qemu, several tests of its own on others), and a wrong product here is a ruined model without an error.
//
// Takes    every call that linalg.cpp makes, at odd sizes below and above the library's blocks; small whole numbers, so that float products
//          are exact in any order; a few milliseconds
// Threads  pure
#pragma once

#include <string>

#include "tensor/blas.h"

namespace quernel::blas {

// The first function that gives a wrong result, such as "sgemm"; empty where all are right.
std::string wrong_function(const Functions& functions);

}  // namespace quernel::blas
