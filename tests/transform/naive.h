// A layer, its inputs, and rounding as the papers write it down: in double, with the tokens themselves instead of H.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/rng.h"
#include "runtime/layer_weights.h"
#include "transform/transform.h"

namespace quernel::transform {

inline Matrix normal_matrix(std::int64_t rows, std::int64_t cols, std::uint64_t seed) {
  Matrix out(rows, cols);
  CounterRng rng(seed, "normal matrix");
  for (std::int64_t i = 0; i < out.size(); ++i) out.data()[i] = static_cast<float>(rng.normal());
  return out;
}

// Inputs of which a few channels are large, as in language models.
inline Matrix spiky_inputs(std::int64_t tokens, std::int64_t cols, std::uint64_t seed) {
  Matrix x = normal_matrix(tokens, cols, seed);
  for (std::int64_t r = 0; r < tokens; ++r)
    for (std::int64_t c = 0; c < cols; c += 7) x(r, c) *= c % 2 == 0 ? 30.0F : 8.0F;
  return x;
}

inline quant::LayerStats stats_of(const Matrix& x) {
  quant::LayerStats stats;
  stats.hessian = Matrix(x.cols(), x.cols());
  stats.mean_abs.assign(static_cast<std::size_t>(x.cols()), 0.0F);
  stats.max_abs.assign(static_cast<std::size_t>(x.cols()), 0.0F);
  for (std::int64_t i = 0; i < x.cols(); ++i) {
    for (std::int64_t j = 0; j < x.cols(); ++j) {
      double sum = 0;
      for (std::int64_t t = 0; t < x.rows(); ++t) sum += double{x(t, i)} * double{x(t, j)};
      stats.hessian(i, j) = static_cast<float>(sum);
    }
    double sum = 0;
    for (std::int64_t t = 0; t < x.rows(); ++t) {
      sum += std::abs(double{x(t, i)});
      float& largest = stats.max_abs[static_cast<std::size_t>(i)];
      largest = std::max(largest, std::abs(x(t, i)));
    }
    stats.mean_abs[static_cast<std::size_t>(i)] = static_cast<float>(sum / static_cast<double>(x.rows()));
  }
  stats.num_tokens = x.rows();
  stats.sample = x.clone();
  return stats;
}

// Asymmetric, groups along the row, whole range; scales in float.
inline std::vector<double> naive_round(const std::vector<double>& row, std::size_t group, int bits) {
  std::vector<double> out(row.size());
  const double codes = (1 << bits) - 1;
  for (std::size_t first = 0; first < row.size(); first += group) {
    const std::size_t end = std::min(first + group, row.size());
    double low = 0;
    double high = 0;
    for (std::size_t k = first; k < end; ++k) {
      low = std::min(low, row[k]);
      high = std::max(high, row[k]);
    }
    const double scale = static_cast<float>((high - low) / codes);
    const double zero = std::clamp(std::nearbyint(-low / scale), 0.0, codes);
    for (std::size_t k = first; k < end; ++k)
      out[k] = (std::clamp(std::nearbyint(row[k] / scale) + zero, 0.0, codes) - zero) * scale;
  }
  return out;
}

// sum over tokens and rows of ((Q(w s) / s - w) . x)^2
inline double naive_error(const std::vector<const Matrix*>& weights, const std::vector<float>& s, const Matrix& x,
                          std::size_t group, int bits) {
  double total = 0;
  for (const Matrix* weight : weights)
    for (std::int64_t r = 0; r < weight->rows(); ++r) {
      std::vector<double> row;
      for (std::int64_t k = 0; k < weight->cols(); ++k)
        row.push_back(double{(*weight)(r, k)} * double{s[static_cast<std::size_t>(k)]});
      row = naive_round(row, group, bits);
      for (std::int64_t t = 0; t < x.rows(); ++t) {
        double dot = 0;
        for (std::size_t k = 0; k < row.size(); ++k)
          dot += (row[k] / double{s[k]} - double{weight->row(r)[k]}) * double{x.row(t)[k]};
        total += dot * dot;
      }
    }
  return total;
}

inline quant::GridSpec small_grid(int bits = 4, std::int64_t group = 16) {
  quant::GridSpec grid;
  grid.bits = bits;
  grid.group_size = group;
  grid.scale_dtype = DType::f32;
  return grid;
}

// Hidden 28, 4 query heads that share 2 key heads of 8, inner 48.
inline model::ModelConfig small_config() {
  model::ModelConfig config;
  config.architecture = "LlamaForCausalLM";
  config.family = "llama";
  config.hidden_size = 28;
  config.intermediate_size = 48;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 8;
  config.num_layers = 1;
  return config;
}

inline runtime::LayerWeights small_layer(const model::ModelConfig& config) {
  runtime::LayerWeights weights;
  std::uint64_t seed = 100;
  for (const model::LinearModule& module : model::linear_modules(config, 0))
    weights.replace(module, normal_matrix(module.rows, module.cols, seed++));
  weights.attention_norm.assign(static_cast<std::size_t>(config.hidden_size), 1.5F);
  weights.mlp_norm.assign(static_cast<std::size_t>(config.hidden_size), 0.5F);
  return weights;
}

}  // namespace quernel::transform
