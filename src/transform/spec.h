// Which transforms a job asks for, with their options. Plain data that reports and resume fingerprints print.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace quernel::transform {

struct TransformSpec {
  std::vector<std::string> chain;  // names of registry rows in the order in which they are applied; empty: none

  double smooth_alpha = 0.5;      // share of the difficulty that moves from activations to weights
  bool smooth_search = false;     // alpha of each pair by the error of its outputs instead
  int smooth_act_bits = 8;        // of activations, in that error
  bool smooth_down = true;        // the pair up -> down too, which the paper leaves out
  bool smooth_out = false;        // the pair v -> o too, which the paper leaves out
  double smooth_keys = 0.0;       // SmoothAttention: share of the keys' range that moves into the queries; 0: none
  int awq_ratios = 20;            // grid points of the exponent
  bool awq_duo = true;            // divide by the weights' own mean size
  std::uint64_t quarot_seed = 0;  // of the random signs
  bool quarot_values = true;      // R2: rotate values and the input of o too
  bool quarot_qk = false;         // R3: queries and keys after RoPE, while the model runs
  bool quarot_down = false;       // R4: the input of down, while the model runs
};

}  // namespace quernel::transform
