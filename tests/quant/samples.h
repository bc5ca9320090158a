// Weights and Hessians for the tests of this wing.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "base/rng.h"
#include "quant/layer_stats.h"
#include "quant/method.h"
#include "tensor/matrix.h"

namespace quernel::quant::test {

// The integers of tests/peers/gptq_reference.py.
class Lcg {
 public:
  explicit Lcg(std::uint64_t seed) : state_(seed) {}
  std::int64_t below(std::int64_t bound) {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<std::int64_t>((state_ >> 33U) % static_cast<std::uint64_t>(bound));
  }

 private:
  std::uint64_t state_;
};

inline Matrix lcg_weight(std::uint64_t seed, std::int64_t rows, std::int64_t cols) {
  Lcg rng(seed);
  Matrix weight = Matrix::uninitialized(rows, cols);
  for (std::int64_t i = 0; i < weight.size(); ++i) weight.data()[i] = static_cast<float>(rng.below(2001) - 1000) / 1024;
  return weight;
}

inline LayerStats stats_of(const Matrix& inputs) {
  LayerStats stats{Matrix(inputs.cols(), inputs.cols()), inputs.rows()};
  for (std::int64_t i = 0; i < inputs.cols(); ++i) {
    for (std::int64_t j = 0; j < inputs.cols(); ++j) {
      double sum = 0.0;
      for (std::int64_t t = 0; t < inputs.rows(); ++t) sum += static_cast<double>(inputs(t, i)) * inputs(t, j);
      stats.hessian(i, j) = static_cast<float>(sum);
    }
  }
  return stats;
}

inline LayerStats lcg_stats(std::uint64_t seed, std::int64_t cols, std::int64_t tokens, const std::vector<int>& dead) {
  Lcg rng(seed);
  Matrix inputs(tokens, cols);
  for (std::int64_t t = 0; t < tokens; ++t) {
    const std::int64_t common = rng.below(9) - 4;
    for (std::int64_t k = 0; k < cols; ++k) {
      inputs(t, k) = static_cast<float>((rng.below(7) - 3 + common) * (1 + (k * 7) % 5));
    }
  }
  for (const int k : dead) {
    for (std::int64_t t = 0; t < tokens; ++t) inputs(t, k) = 0.0F;
  }
  return stats_of(inputs);
}

inline Matrix normal_matrix(std::int64_t rows, std::int64_t cols, std::uint64_t seed) {
  CounterRng rng(seed, "normal");
  Matrix matrix = Matrix::uninitialized(rows, cols);
  for (std::int64_t i = 0; i < matrix.size(); ++i) matrix.data()[i] = static_cast<float>(rng.normal());
  return matrix;
}

// Inputs with a few common directions and unequal sizes, as activations have.
inline LayerStats correlated_stats(std::int64_t cols, std::int64_t tokens, std::uint64_t seed) {
  Matrix inputs = normal_matrix(tokens, cols, seed);
  const Matrix directions = normal_matrix(3, cols, seed + 1);
  const Matrix shares = normal_matrix(tokens, 3, seed + 2);
  const Matrix sizes = normal_matrix(1, cols, seed + 3);
  for (std::int64_t t = 0; t < tokens; ++t) {
    for (std::int64_t k = 0; k < cols; ++k) {
      for (std::int64_t d = 0; d < 3; ++d) inputs(t, k) += 2 * shares(t, d) * directions(d, k);
      inputs(t, k) *= 0.2F + std::abs(sizes(0, k));
    }
  }
  return stats_of(inputs);
}

// "bits=4 group-size=8 ...": options as the command line names them.
inline void set_options(const std::string& options, MethodInput& input) {
  for (std::size_t first = 0; first < options.size();) {
    const std::size_t end = std::min(options.find(' ', first), options.size());
    const std::string option = options.substr(first, end - first);
    const std::size_t equals = option.find('=');
    const Status status = set_option(option.substr(0, equals), option.substr(equals + 1), input.grid, input.solver);
    QUERNEL_CHECK(status.ok(), "{}", option);
    first = end + 1;
  }
}

inline Result<MethodOutcome> quantize(const std::string& method, const Matrix& weight, const LayerStats* stats,
                                      const std::string& options, sys::ThreadPool* pool = nullptr) {
  MethodInput input;
  input.weight = weight;
  input.stats = stats;
  input.pool = pool;
  set_options(options, input);
  return find_method(method).value()->run(input);
}

}  // namespace quernel::quant::test
