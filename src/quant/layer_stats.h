// What calibration knows of one linear's input.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/matrix.h"

namespace quernel::quant {

// Shared by all linears that read the same input.
struct LayerStats {
  Matrix hessian;               // [cols, cols] sum over calibration tokens of x x^T, both triangles filled
  std::int64_t num_tokens = 0;  // rows of X that were summed

  // Only where they were asked for (calib::CalibratorOptions); empty otherwise.
  std::vector<float> mean_abs = {};  // [cols] of |x| over all tokens
  std::vector<float> max_abs = {};   // [cols]
  Matrix sample = {};                // [few, cols] inputs of tokens spread evenly over the text
};

}  // namespace quernel::quant
