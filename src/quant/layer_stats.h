// What calibration knows of one linear's input.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/matrix.h"

namespace quernel::quant {

// Shared by all linears that read the same input. x: the input as the quantized model feeds it; x_ref: as the unquantized
// model does for the same token; h, h_ref: the residual stream in front of the branch, alike.
struct LayerStats {
  Matrix hessian;               // [cols, cols] sum over calibration tokens of x x^T, both triangles filled
  std::int64_t num_tokens = 0;  // rows of X that were summed

  // Only where they were asked for (calib::CalibratorOptions); empty otherwise.
  std::vector<float> mean_abs = {};      // [cols] of |x| over all tokens
  std::vector<float> max_abs = {};       // [cols]
  std::vector<float> max_abs_keys = {};  // [kv_heads * head_dim] after RoPE; only of what attention hands to o
  Matrix sample = {};                    // [few, cols] inputs of tokens spread evenly over the text
  // [few, cols] inputs of the tokens with the largest |x_j|, then of tokens spread evenly over the text; only of what the MLP hands
  // to down
  Matrix probe = {};

  // Where the unquantized model ran along, one of these; empty otherwise.
  Matrix input_drift = {};  // [cols, cols] sum of (x_ref - x) x^T
  // [rows, cols] sum of (h_ref + W x_ref - h - W x) x^T, for a linear whose output joins the residual stream
  Matrix output_drift = {};
};

}  // namespace quernel::quant
