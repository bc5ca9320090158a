// Beside H: how large each channel of an input is, and a few of its rows as they are: spread over the text, or the largest.
//
// Formula  mean_abs_j = mean |x_j|, max_abs_j = max |x_j| over all rows added; sample: rows i step, step = tokens / wanted
// Exact    results do not depend on threads; means are summed in double
// Threads  the pool passed in
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "quant/layer_stats.h"
#include "sys/thread_pool.h"
#include "tensor/matrix.h"

namespace quernel::calib {

class ChannelStats {
 public:
  explicit ChannelStats(std::int64_t width);
  void add(ConstMatrixView x, sys::ThreadPool& pool);  // [rows, width]
  void finish(quant::LayerStats& stats) const;

 private:
  std::vector<double> sums_;
  std::vector<float> largest_;
  std::int64_t rows_ = 0;
};

class RowSample {
 public:
  RowSample(std::int64_t num_tokens, std::int64_t width, std::int64_t wanted);
  void add(ConstMatrixView x);  // the next rows of the text
  Matrix take() &&;

 private:
  Matrix rows_;
  std::int64_t step_ = 1;
  std::int64_t seen_ = 0;
  std::int64_t filled_ = 0;
};

// The kPeakRows rows with the largest entries (of equals the first), then kSpreadRows spread over the text.
class ProbeRows {
 public:
  ProbeRows(std::int64_t num_tokens, std::int64_t width);
  void add(ConstMatrixView x, sys::ThreadPool& pool);  // the next rows of the text
  Matrix take() &&;

 private:
  static constexpr std::int64_t kPeakRows = 64;     // massive inputs stand at a token or two of a sample
  static constexpr std::int64_t kSpreadRows = 256;  // what channels reach elsewhere

  void offer(std::span<const float> row, float largest);

  Matrix peaks_;
  std::vector<float> sizes_;  // of the peaks kept so far
  RowSample spread_;
};

}  // namespace quernel::calib
