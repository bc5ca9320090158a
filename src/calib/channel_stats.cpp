#include "calib/channel_stats.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "base/check.h"
#include "base/checked.h"
#include "calib/for_rows.h"

namespace quernel::calib {

namespace {

constexpr std::int64_t kColumnsPerTask = 64;  // four cache lines of a row

}  // namespace

ChannelStats::ChannelStats(std::int64_t width)
    : sums_(static_cast<std::size_t>(width), 0.0), largest_(static_cast<std::size_t>(width), 0.0F) {}

void ChannelStats::add(ConstMatrixView x, sys::ThreadPool& pool) {
  QUERNEL_CHECK(std::cmp_equal(sums_.size(), x.cols), "{} columns for {}", x.cols, sums_.size());
  pool.parallel_for(ceil_div(x.cols, kColumnsPerTask), [&](std::int64_t task) {
    const auto first = static_cast<std::size_t>(task * kColumnsPerTask);
    const std::size_t end = std::min(first + static_cast<std::size_t>(kColumnsPerTask), sums_.size());
    for (std::int64_t row = 0; row < x.rows; ++row) {
      const std::span<const float> values = x.row(row);
      for (std::size_t k = first; k < end; ++k) {
        const float size = std::abs(values[k]);
        sums_[k] += double{size};
        largest_[k] = std::max(largest_[k], size);
      }
    }
  });
  rows_ += x.rows;
}

void ChannelStats::finish(quant::LayerStats& stats) const {
  stats.max_abs = largest_;
  stats.mean_abs.resize(sums_.size());
  for (std::size_t k = 0; k < sums_.size(); ++k)
    stats.mean_abs[k] = static_cast<float>(sums_[k] / static_cast<double>(std::max<std::int64_t>(rows_, 1)));
}

RowSample::RowSample(std::int64_t num_tokens, std::int64_t width, std::int64_t wanted) {
  const std::int64_t count = std::min(wanted, num_tokens);
  if (count <= 0) return;
  step_ = num_tokens / count;
  rows_ = Matrix(count, width);
}

void RowSample::add(ConstMatrixView x) {
  for (std::int64_t row = 0; row < x.rows; ++row, ++seen_) {
    if (filled_ == rows_.rows() || seen_ != filled_ * step_) continue;
    std::copy(x.row(row).begin(), x.row(row).end(), rows_.row(filled_).begin());
    ++filled_;
  }
}

Matrix RowSample::take() && { return std::move(rows_); }

ProbeRows::ProbeRows(std::int64_t num_tokens, std::int64_t width)
    : peaks_(std::min(kPeakRows, num_tokens), width), spread_(num_tokens, width, kSpreadRows) {}

void ProbeRows::add(ConstMatrixView x, sys::ThreadPool& pool) {
  std::vector<float> largest(static_cast<std::size_t>(x.rows), 0.0F);
  for_rows(x.rows, pool, [&](std::int64_t row) {
    for (const float value : x.row(row)) {
      largest[static_cast<std::size_t>(row)] = std::max(largest[static_cast<std::size_t>(row)], std::abs(value));
    }
  });
  for (std::int64_t row = 0; row < x.rows; ++row) offer(x.row(row), largest[static_cast<std::size_t>(row)]);
  spread_.add(x);
}

void ProbeRows::offer(std::span<const float> row, float largest) {
  auto place = static_cast<std::int64_t>(sizes_.size());
  if (place < peaks_.rows()) {
    sizes_.push_back(largest);
  } else {
    const auto least = std::min_element(sizes_.begin(), sizes_.end());
    if (least == sizes_.end() || !(largest > *least)) return;
    *least = largest;
    place = least - sizes_.begin();
  }
  std::copy(row.begin(), row.end(), peaks_.row(place).begin());
}

Matrix ProbeRows::take() && {
  const Matrix spread = std::move(spread_).take();
  Matrix rows = Matrix::uninitialized(peaks_.rows() + spread.rows(), peaks_.cols());
  std::copy(peaks_.data(), peaks_.data() + peaks_.size(), rows.data());
  std::copy(spread.data(), spread.data() + spread.size(), rows.data() + peaks_.size());
  return rows;
}

}  // namespace quernel::calib
