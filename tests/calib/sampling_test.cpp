#include "calib/sampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "base/sha256.h"

namespace quernel::calib {
namespace {

std::vector<std::int32_t> counting(std::int64_t size) {
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(size));
  std::iota(tokens.begin(), tokens.end(), 0);
  return tokens;
}

CalibrationSamples sample(std::int64_t tokens, const SamplingOptions& options) {
  auto samples = sample_windows(counting(tokens), options);
  EXPECT_TRUE(samples.ok()) << to_string(samples.error());
  return std::move(samples).value();
}

std::vector<std::int32_t> starts(const CalibrationSamples& samples) {
  std::vector<std::int32_t> result;
  for (const auto& window : samples.windows) result.push_back(window.front());
  return result;
}

TEST(Sampling, WindowsLieInOrderWithoutOverlap) {
  for (const std::int64_t tokens : {40, 41, 57, 400}) {
    SamplingOptions options;
    options.count = 5;
    options.length = 8;
    const CalibrationSamples samples = sample(tokens, options);
    ASSERT_EQ(samples.count(), 5);
    EXPECT_EQ(samples.num_tokens(), 40);
    EXPECT_EQ(samples.text_tokens, tokens);
    std::int32_t free_from = 0;
    for (const auto& window : samples.windows) {
      ASSERT_EQ(window.size(), 8U);
      EXPECT_GE(window.front(), free_from);
      for (std::size_t i = 1; i < window.size(); ++i) EXPECT_EQ(window[i], window[i - 1] + 1);
      free_from = window.back() + 1;
    }
    EXPECT_LE(free_from, tokens);
  }
}

TEST(Sampling, HeldOutWindowsShareNoToken) {
  for (const SampleMode mode : {SampleMode::random, SampleMode::first}) {
    SamplingOptions options;
    options.count = 20;
    options.length = 16;
    options.held_out = 6;
    options.mode = mode;
    const CalibrationSamples samples = sample(1000, options);
    options.held_out = 0;
    EXPECT_EQ(sample(1000, options).sha256, samples.sha256);  // calibration does not know of them
    ASSERT_EQ(samples.held_out.size(), 6U);
    std::vector<int> uses(1000);
    for (const auto& window : samples.windows)
      for (const std::int32_t token : window) ++uses[static_cast<std::size_t>(token)];
    for (const auto& window : samples.held_out) {
      ASSERT_EQ(window.size(), 16U);
      for (const std::int32_t token : window) ++uses[static_cast<std::size_t>(token)];
    }
    EXPECT_EQ(*std::max_element(uses.begin(), uses.end()), 1);
  }
}

TEST(Sampling, FewerHeldOutWindowsWhereThereIsNoRoom) {
  SamplingOptions options;
  options.count = 5;
  options.length = 8;
  options.held_out = 4;
  EXPECT_TRUE(sample(40, options).held_out.empty());
  options.mode = SampleMode::first;
  EXPECT_EQ(sample(57, options).held_out.size(), 2U);
}

// A result of a seed is part of every report and of resumed jobs.
TEST(Sampling, GoldenWindows) {
  SamplingOptions options;
  options.count = 6;
  options.length = 10;
  options.seed = 42;
  const CalibrationSamples samples = sample(1000, options);
  EXPECT_EQ(starts(samples), (std::vector<std::int32_t>{425, 546, 723, 821, 853, 874}));
  EXPECT_EQ(samples.sha256, "654ae5d48cffef0928495f6477efe63f51f763075b0a6b1dc76e743d95743225");
  options.seed = 43;
  EXPECT_NE(starts(sample(1000, options)), starts(samples));
}

TEST(Sampling, HashIsOfLittleEndianIds) {
  SamplingOptions options;
  options.count = 1;
  options.length = 2;
  options.mode = SampleMode::first;
  const std::vector<std::int32_t> tokens{1, 0x01020304};
  const auto samples = sample_windows(tokens, options);
  ASSERT_TRUE(samples.ok());
  EXPECT_EQ(samples->sha256, sha256_hex(std::string_view("\x01\0\0\0\x04\x03\x02\x01", 8)));
}

// Two windows of 2 in 6 tokens: 6 placements, each expected 2000 times with a deviation of 41.
TEST(Sampling, EveryPlacementIsEquallyLikely) {
  std::map<std::vector<std::int32_t>, int> counts;
  SamplingOptions options;
  options.count = 2;
  options.length = 2;
  for (options.seed = 0; options.seed < 12000; ++options.seed) ++counts[starts(sample(6, options))];
  ASSERT_EQ(counts.size(), 6U);
  for (const auto& [placement, count] : counts) {
    EXPECT_NEAR(count, 2000, 5 * 41) << placement[0] << ", " << placement[1];
  }
}

TEST(Sampling, FirstTakesConsecutiveWindows) {
  SamplingOptions options;
  options.count = 3;
  options.length = 7;
  options.mode = SampleMode::first;
  EXPECT_EQ(starts(sample(30, options)), (std::vector<std::int32_t>{0, 7, 14}));
}

TEST(Sampling, PutsBosBeforeEachWindow) {
  SamplingOptions options;
  options.count = 3;
  options.length = 7;
  options.mode = SampleMode::first;
  options.bos = 99;
  const CalibrationSamples samples = sample(18, options);  // 3 * 6
  for (std::size_t i = 0; i < samples.windows.size(); ++i) {
    ASSERT_EQ(samples.windows[i].size(), 7U);
    EXPECT_EQ(samples.windows[i][0], 99);
    EXPECT_EQ(samples.windows[i][1], static_cast<std::int32_t>(6 * i));
  }
}

TEST(Sampling, SaysHowManyTokensAreMissing) {
  SamplingOptions options;
  options.count = 4;
  options.length = 10;
  const auto tokens = counting(39);
  auto samples = sample_windows(tokens, options);
  ASSERT_FALSE(samples.ok());
  EXPECT_EQ(samples.error().fault, Fault::invalid_argument);
  EXPECT_EQ(samples.error().expected, "40 tokens for 4 samples of 10");
  EXPECT_EQ(samples.error().found, "39 tokens");
  EXPECT_NE(samples.error().hint.find("3 samples of 10"), std::string::npos);

  options.allow_fewer = true;
  samples = sample_windows(tokens, options);
  ASSERT_TRUE(samples.ok());
  EXPECT_EQ(samples->count(), 3);
  EXPECT_EQ(samples->requested, 4);

  samples = sample_windows(std::span(tokens).first(9), options);
  ASSERT_FALSE(samples.ok());
  EXPECT_NE(samples.error().hint.find("one of 9 tokens"), std::string::npos);
  EXPECT_FALSE(sample_windows({}, options).ok());
}

TEST(Sampling, RefusesImpossibleShapes) {
  const auto tokens = counting(100);
  for (const auto& [count, length] : {std::pair{0, 10}, {-1, 10}, {3, 0}, {3, -4}}) {
    SamplingOptions options;
    options.count = count;
    options.length = length;
    EXPECT_FALSE(sample_windows(tokens, options).ok()) << count << " x " << length;
  }
  SamplingOptions options;
  options.count = std::int64_t{1} << 62;
  options.allow_fewer = true;
  EXPECT_FALSE(sample_windows(tokens, options).ok());
  options.count = 3;
  options.length = 1;
  options.bos = 1;
  EXPECT_FALSE(sample_windows(tokens, options).ok());
}

TEST(Sampling, ModesHaveNames) {
  for (const SampleMode mode : {SampleMode::random, SampleMode::first}) {
    const auto parsed = parse_sample_mode(to_string(mode));
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(*parsed, mode);
  }
  EXPECT_FALSE(parse_sample_mode("last").ok());
}

}  // namespace
}  // namespace quernel::calib
