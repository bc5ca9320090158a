// What calibration knows of one linear's input.
#pragma once

#include <cstdint>

#include "tensor/matrix.h"

namespace quernel::quant {

// Shared by all linears that read the same input.
struct LayerStats {
  Matrix hessian;               // [cols, cols] sum over calibration tokens of x x^T, both triangles filled
  std::int64_t num_tokens = 0;  // rows of X that were summed
};

}  // namespace quernel::quant
