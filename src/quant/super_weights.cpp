#include "quant/super_weights.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "tensor/linalg.h"

namespace quernel::quant {
namespace {

constexpr double kOverSecond = 5.0;   // of the output's peak over every other channel's
constexpr double kOverRms = 15.0;     // of the weight over its matrix
constexpr double kShareOfPeak = 0.5;  // of the output's peak that the weight makes

// The two channels of `values` [tokens, channels] that reach farthest from 0.
struct Peaks {
  std::int64_t channel = 0;
  double largest = 0.0;
  double second = 0.0;
};

Peaks peaks_of(ConstMatrixView values) {
  std::vector<float> reach(static_cast<std::size_t>(values.cols), 0.0F);
  for (std::int64_t row = 0; row < values.rows; ++row) {
    const auto of_token = values.row(row);
    for (std::size_t k = 0; k < reach.size(); ++k) reach[k] = std::max(reach[k], std::abs(of_token[k]));
  }
  Peaks peaks;
  for (std::size_t k = 0; k < reach.size(); ++k) {
    if (double{reach[k]} > peaks.largest) {
      peaks = {static_cast<std::int64_t>(k), double{reach[k]}, peaks.largest};
    } else {
      peaks.second = std::max(peaks.second, double{reach[k]});
    }
  }
  return peaks;
}

double rms(ConstMatrixView weight) {
  double sum = 0.0;
  for (std::int64_t row = 0; row < weight.rows; ++row) {
    for (const float value : weight.row(row)) sum += double{value} * double{value};
  }
  return std::sqrt(sum / (static_cast<double>(weight.rows) * static_cast<double>(weight.cols)));
}

}  // namespace

std::vector<codec::Outlier> find_super_weights(ConstMatrixView weight, const LayerStats& stats, sys::ThreadPool& pool) {
  if (stats.probe.empty()) return {};
  QUERNEL_CHECK(stats.probe.cols() == weight.cols, "a probe of {} inputs for {}", stats.probe.cols(), weight.cols);
  Matrix outputs = Matrix::uninitialized(stats.probe.rows(), weight.rows);
  gemm_nt(stats.probe, weight, outputs, false, pool);
  const Peaks input = peaks_of(stats.probe);
  const Peaks output = peaks_of(outputs);
  const float value = weight(output.channel, input.channel);
  const double size = std::abs(double{value});
  const bool alone = output.largest > kOverSecond * output.second;
  const bool large = size > kOverRms * rms(weight);
  const bool cause = size * input.largest >= kShareOfPeak * output.largest;
  if (!alone || !large || !cause) return {};
  return {{static_cast<std::int32_t>(output.channel), static_cast<std::int32_t>(input.channel), value}};
}

Matrix without(ConstMatrixView weight, const std::vector<codec::Outlier>& places) {
  Matrix rest = Matrix::uninitialized(weight.rows, weight.cols);
  for (std::int64_t row = 0; row < weight.rows; ++row) {
    std::copy(weight.row(row).begin(), weight.row(row).end(), rest.row(row).begin());
  }
  for (const codec::Outlier& one : places) rest(one.row, one.col) = 0.0F;
  return rest;
}

}  // namespace quernel::quant
