// Beside H: how large each channel of an input is, and a few of its rows as they are.
//
// Formula  mean_abs_j = mean |x_j|, max_abs_j = max |x_j| over all rows added; sample: rows i step, step = tokens / wanted
// Exact    results do not depend on threads; means are summed in double
// Threads  the pool passed in
#pragma once

#include <cstdint>
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

}  // namespace quernel::calib
