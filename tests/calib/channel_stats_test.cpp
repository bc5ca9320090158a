#include "calib/channel_stats.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"

namespace quernel::calib {
namespace {

Matrix ramp(std::int64_t rows, std::int64_t cols) {
  Matrix x(rows, cols);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < cols; ++c) x(r, c) = static_cast<float>((r % 2 == 0 ? 1 : -1) * (r + 1) * (c + 1));
  return x;
}

TEST(ChannelStats, MeanAndLargestOverAllPieces) {
  sys::ThreadPool pool(2);
  const Matrix x = ramp(4, 130);  // more than two tasks
  ChannelStats channels(130);
  channels.add(x.view().row_block(0, 3), pool);
  channels.add(x.view().row_block(3, 1), pool);
  quant::LayerStats stats;
  channels.finish(stats);
  for (std::size_t c = 0; c < 130; ++c) {
    EXPECT_FLOAT_EQ(stats.mean_abs[c], 2.5F * static_cast<float>(c + 1));
    EXPECT_FLOAT_EQ(stats.max_abs[c], 4.0F * static_cast<float>(c + 1));
  }
}

TEST(ChannelStats, DoesNotDependOnThreads) {
  Matrix x(50, 200);
  CounterRng rng(1, "x");
  for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(rng.normal());
  quant::LayerStats results[2];
  for (int threads : {1, 3}) {
    sys::ThreadPool pool(threads);
    ChannelStats channels(200);
    channels.add(x, pool);
    channels.finish(results[threads == 1 ? 0 : 1]);
  }
  EXPECT_EQ(results[0].mean_abs, results[1].mean_abs);
  EXPECT_EQ(results[0].max_abs, results[1].max_abs);
}

TEST(ProbeRows, HoldsTheLargestAndSomeOfAllOthers) {
  constexpr std::int64_t kTokens = 1000;
  Matrix x(kTokens, 3);
  CounterRng rng(4, "probe");
  for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(rng.normal());
  for (std::int64_t i = 0; i < 64; ++i) x(7 + 13 * i, i % 3) = -100.0F - static_cast<float>(i);
  Matrix results[2];
  for (const int threads : {1, 3}) {
    sys::ThreadPool pool(threads);
    ProbeRows probe(kTokens, 3);
    probe.add(x.view().row_block(0, 300), pool);
    probe.add(x.view().row_block(300, 700), pool);
    results[threads == 1 ? 0 : 1] = std::move(probe).take();
  }
  const Matrix& rows = results[0];
  ASSERT_EQ(rows.rows(), 64 + 256);
  float sum = 0.0F;
  for (std::int64_t i = 0; i < 64; ++i) sum += std::max({-rows(i, 0), -rows(i, 1), -rows(i, 2)});
  EXPECT_EQ(sum, 64 * 100.0F + 63 * 32);  // each of them once
  for (std::int64_t i = 0; i < 256; ++i) EXPECT_EQ(rows(64 + i, 1), x(3 * i, 1));
  EXPECT_TRUE(std::equal(rows.data(), rows.data() + rows.size(), results[1].data()));
}

TEST(ProbeRows, OfFewTokensHasEachTwice) {
  sys::ThreadPool pool(1);
  ProbeRows probe(5, 2);
  probe.add(ramp(5, 2), pool);
  EXPECT_EQ(std::move(probe).take().rows(), 10);
}

TEST(RowSample, IsSpreadOverTheText) {
  const Matrix x = ramp(10, 2);
  RowSample sample(10, 2, 3);
  sample.add(x.view().row_block(0, 4));
  sample.add(x.view().row_block(4, 6));
  const Matrix rows = std::move(sample).take();
  ASSERT_EQ(rows.rows(), 3);
  for (std::int64_t i = 0; i < 3; ++i) EXPECT_EQ(rows(i, 1), x(3 * i, 1));
}

TEST(RowSample, NoneAskedForAndMoreThanThereAre) {
  const Matrix x = ramp(4, 3);
  RowSample none(4, 3, 0);
  none.add(x);
  EXPECT_TRUE(std::move(none).take().empty());
  RowSample all(4, 3, 99);
  all.add(x);
  const Matrix rows = std::move(all).take();
  ASSERT_EQ(rows.rows(), 4);
  EXPECT_EQ(rows(3, 2), x(3, 2));
}

}  // namespace
}  // namespace quernel::calib
