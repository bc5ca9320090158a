#include "runtime/rope.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>
#include <numbers>
#include <utility>

#include "base/check.h"
#include "tensor/matrix.h"

namespace quernel::runtime {
namespace {

constexpr double kTwoPi = 2.0 * std::numbers::pi;

double llama3_frequency(const model::RopeConfig& config, double frequency) {
  const double wavelength = kTwoPi / frequency;
  if (wavelength < config.original_context / config.high_freq_factor) return frequency;
  if (wavelength > config.original_context / config.low_freq_factor) return frequency / config.factor;
  const double t = (config.original_context / wavelength - config.low_freq_factor) /
                   (config.high_freq_factor - config.low_freq_factor);
  return frequency * ((1.0 - t) / config.factor + t);
}

// The (fractional) index of the frequency that turns `rotations` times within the original context.
double yarn_index(const model::RopeConfig& config, double rotations) {
  return static_cast<double>(config.rotary_dim) * std::log(config.original_context / (rotations * kTwoPi)) /
         (2.0 * std::log(config.theta));
}

void scale_yarn(const model::RopeConfig& config, std::vector<double>& frequencies) {
  double low = yarn_index(config, config.beta_fast);
  double high = yarn_index(config, config.beta_slow);
  if (config.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(config.rotary_dim - 1));
  if (low == high) high += 0.001;  // as published: keeps the ramp finite
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    frequencies[i] *= ramp / config.factor + (1.0 - ramp);
  }
}

}  // namespace

std::vector<double> rope_frequencies(const model::RopeConfig& config) {
  QUERNEL_CHECK(config.rotary_dim >= 0 && config.rotary_dim % 2 == 0, "rotary_dim {}", config.rotary_dim);
  const auto half = static_cast<std::size_t>(config.rotary_dim / 2);
  std::vector<double> frequencies(half);
  for (std::size_t i = 0; i < half; ++i) {
    frequencies[i] = std::pow(config.theta, -static_cast<double>(2 * i) / static_cast<double>(config.rotary_dim));
  }
  switch (config.scaling) {
    case model::RopeScaling::none: break;
    case model::RopeScaling::linear:
      for (double& frequency : frequencies) frequency /= config.factor;
      break;
    case model::RopeScaling::llama3:
      for (double& frequency : frequencies) frequency = llama3_frequency(config, frequency);
      break;
    case model::RopeScaling::yarn: scale_yarn(config, frequencies); break;
  }
  if (!config.frequency_factors.empty()) {
    QUERNEL_CHECK(config.frequency_factors.size() == half, "frequency factors");
    for (std::size_t i = 0; i < half; ++i) frequencies[i] /= static_cast<double>(config.frequency_factors[i]);
  }
  return frequencies;
}

// Blocks of positions, made when first asked for; a block never moves once it is published.
struct RopeTable::Table {
  static constexpr std::int64_t kBlockPositions = 1024;

  explicit Table(const model::RopeConfig& config)
      : frequencies(rope_frequencies(config)),
        attention_factor(config.scaling == model::RopeScaling::yarn ? config.attention_factor : 1.0),
        blocks(static_cast<std::size_t>(kMaxPositions / kBlockPositions)) {}

  [[nodiscard]] Angles at(std::int64_t position) {
    QUERNEL_CHECK(position >= 0 && position < kMaxPositions, "position {}", position);
    std::atomic<const float*>& block = blocks[static_cast<std::size_t>(position / kBlockPositions)];
    const float* angles = block.load(std::memory_order_acquire);
    if (angles == nullptr) angles = fill(position / kBlockPositions);
    const std::size_t half = frequencies.size();
    const float* row = angles + static_cast<std::size_t>(position % kBlockPositions) * 2 * half;
    return {{row, half}, {row + half, half}};
  }

  const float* fill(std::int64_t index) {
    const std::scoped_lock lock(mutex);
    std::atomic<const float*>& block = blocks[static_cast<std::size_t>(index)];
    if (const float* done = block.load(std::memory_order_acquire)) return done;
    const auto half = static_cast<std::int64_t>(frequencies.size());
    Matrix made = Matrix::uninitialized(kBlockPositions, 2 * half);
    for (std::int64_t row = 0; row < kBlockPositions; ++row) {
      const auto position = static_cast<double>(index * kBlockPositions + row);
      for (std::int64_t i = 0; i < half; ++i) {
        const double angle = position * frequencies[static_cast<std::size_t>(i)];
        made(row, i) = static_cast<float>(attention_factor * std::cos(angle));
        made(row, half + i) = static_cast<float>(attention_factor * std::sin(angle));
      }
    }
    owned.push_back(std::move(made));
    block.store(owned.back().data(), std::memory_order_release);
    return owned.back().data();
  }

  std::vector<double> frequencies;
  double attention_factor;
  std::mutex mutex;                               // of fill
  std::vector<Matrix> owned;                      // [kBlockPositions, 2 * half]: cosines, then sines
  std::vector<std::atomic<const float*>> blocks;  // by position / kBlockPositions; null: not made yet
};

RopeTable::RopeTable(std::unique_ptr<Table> global, std::unique_ptr<Table> local)
    : global_(std::move(global)), local_(std::move(local)) {}
RopeTable::~RopeTable() = default;

std::shared_ptr<const RopeTable> RopeTable::make(const model::ModelConfig& config) {
  const bool any_local = std::any_of(config.layers.begin(), config.layers.end(),
                                     [](const model::LayerConfig& layer) { return layer.local_rope; });
  auto global = std::make_unique<Table>(config.rope);
  auto local = any_local ? std::make_unique<Table>(config.rope_local) : nullptr;
  return std::shared_ptr<const RopeTable>(new RopeTable(std::move(global), std::move(local)));
}

RopeTable::Angles RopeTable::at(std::int64_t position, bool local) const {
  return (local && local_ != nullptr ? local_ : global_)->at(position);
}

std::int64_t RopeTable::rotary_dim(bool local) const {
  return 2 * static_cast<std::int64_t>((local && local_ != nullptr ? local_ : global_)->frequencies.size());
}

void rotate_head(const RopeTable::Angles& angles, std::span<float> head) {
  const std::size_t half = angles.cos.size();
  float* first = head.data();
  float* second = head.data() + half;
  for (std::size_t i = 0; i < half; ++i) {
    const float a = first[i];
    const float b = second[i];
    first[i] = a * angles.cos[i] - b * angles.sin[i];
    second[i] = b * angles.cos[i] + a * angles.sin[i];
  }
}

}  // namespace quernel::runtime
