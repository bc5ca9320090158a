// Finds the llama3 rope scaling that a table of frequency divisors was made from: GGUF files hold the table
// (rope_freqs.weight), config.json holds the constants.
//
// Formula  divisor = 1 for wavelengths below original / high, factor above original / low, else 1 / ((1 - t) / factor +
// t)
//          with t = (original / wavelength - low) / (high - low)
// Exact    constants come back only if they give every divisor again to a relative 1e-5 (the table is fp32)
// Threads  pure function
#pragma once

#include <optional>
#include <vector>

#include "model/config.h"

namespace quernel::model {

struct Llama3Scaling {
  double factor = 1.0;
  double low_freq_factor = 1.0;
  double high_freq_factor = 4.0;
  double original_context = 8192.0;
};

// The divisor of the rotation with inverse frequency theta^(-2 index / rotary_dim).
double llama3_divisor(const Llama3Scaling& scaling, double theta, std::int64_t rotary_dim, std::int64_t index);

std::optional<Llama3Scaling> recover_llama3(const std::vector<float>& divisors, double theta);

}  // namespace quernel::model
