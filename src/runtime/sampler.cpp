#include "runtime/sampler.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "base/rng.h"

namespace quernel::runtime {
namespace {

// Widths of bands of logits that are ranked together, in temperatures: e^-6 is 1/400 of the likeliest one's share.
constexpr double kFirstBand = 6.0;
constexpr double kDeepestBand = 80.0;  // from here on the rest is one band

SeenPenalties seen_penalties(const SamplerOptions& o) {
  return {o.repetition_penalty, o.presence_penalty, o.frequency_penalty, o.repetition_window};
}

bool penalizes(const SeenPenalties& seen) {
  return seen.repetition != 1.0 || seen.presence != 0.0 || seen.frequency != 0.0;
}

// [0, 1), of a seed and a place in the sequence.
double chance_at(std::uint64_t seed, std::size_t position) {
  const std::uint64_t stream = hash_name("sampler");
  const auto low = [](std::uint64_t value) { return static_cast<std::uint32_t>(value & 0xFFFFFFFFU); };
  const auto high = [](std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32U); };
  const PhiloxBlock block =
      philox4x32({low(position), high(position), low(stream), high(stream)}, {low(seed), high(seed)});
  return static_cast<double>((std::uint64_t{block[1]} << 32U | block[0]) >> 11U) * 0x1.0p-53;
}

// e^x for x <= 0, to 2e-7: a polynomial behind a shift of the exponent, in a form that compilers turn into vector instructions.
inline float exp_negative(float x) {
  x = x > -87.0F ? x : -87.0F;           // also NaN
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it leaves an integer in the low bits
  const float shifted = x * 1.44269504F + kRound;
  const float n = shifted - kRound;
  const float r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  float p = 1.0F / 720.0F;
  p = p * r + 1.0F / 120.0F;
  p = p * r + 1.0F / 24.0F;
  p = p * r + 1.0F / 6.0F;
  p = p * r + 0.5F;
  p = p * r * r + r + 1.0F;
  const std::uint32_t exponent = (std::bit_cast<std::uint32_t>(shifted) + 127U) << 23U;
  return p * std::bit_cast<float>(exponent);
}

constexpr std::size_t kLanes = 16;  // sums and maxima that go side by side, in a fixed order

float largest_of(std::span<const float> values) {
  std::array<float, kLanes> lane;
  lane.fill(-INFINITY);
  std::size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes)
    for (std::size_t j = 0; j < kLanes; ++j) lane[j] = values[i + j] > lane[j] ? values[i + j] : lane[j];
  for (; i < values.size(); ++i) lane[0] = values[i] > lane[0] ? values[i] : lane[0];
  return *std::max_element(lane.begin(), lane.end());
}

// Of exp((value - largest) / temperature); what is not finite counts as next to nothing.
double sum_of_weights(std::span<const float> values, float largest, float inverse_temperature) {
  std::array<double, kLanes> lane{};
  std::size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes)
    for (std::size_t j = 0; j < kLanes; ++j)
      lane[j] += static_cast<double>(exp_negative((values[i + j] - largest) * inverse_temperature));
  for (; i < values.size(); ++i)
    lane[0] += static_cast<double>(exp_negative((values[i] - largest) * inverse_temperature));
  return std::accumulate(lane.begin(), lane.end(), 0.0);
}

}  // namespace

std::int32_t argmax(std::span<const float> values) {
  QUERNEL_CHECK(!values.empty(), "argmax of nothing");
  const float largest = largest_of(values);
  if (largest == -INFINITY) return 0;
  return static_cast<std::int32_t>(std::find(values.begin(), values.end(), largest) - values.begin());
}

Result<Sampler> Sampler::make(const SamplerOptions& options) {
  const auto& o = options;
  QUERNEL_TRY_STATUS(
      check_option("temperature", o.temperature, o.temperature >= 0 && std::isfinite(o.temperature), "0 or more"));
  QUERNEL_TRY_STATUS(check_option("top_k", static_cast<double>(o.top_k), o.top_k >= 0, "0 or more"));
  QUERNEL_TRY_STATUS(check_option("top_p", o.top_p, o.top_p > 0 && o.top_p <= 1, "above 0, at most 1"));
  QUERNEL_TRY_STATUS(check_option("min_p", o.min_p, o.min_p >= 0 && o.min_p <= 1, "0 to 1"));
  QUERNEL_TRY_STATUS(check_penalties(seen_penalties(o)));
  QUERNEL_TRY_STATUS(check_dry(o.dry));
  QUERNEL_TRY_STATUS(check_bias(o.logit_bias));
  return Sampler(options);
}

Sampler::Sampler(SamplerOptions options) : options_(std::move(options)) {}

bool Sampler::moves_logits() const {
  return penalizes(seen_penalties(options_)) || !options_.logit_bias.empty() || options_.dry.multiplier != 0.0;
}

std::span<const float> Sampler::moved(std::span<const float> logits, std::span<const std::int32_t> context) {
  const SeenPenalties seen = seen_penalties(options_);
  if (!moves_logits()) return logits;
  logits_.assign(logits.begin(), logits.end());
  add_bias(options_.logit_bias, logits_);
  if (penalizes(seen)) penalize_seen(seen, context, logits_);
  penalize_repeats(options_.dry, context, logits_);
  return logits_;
}

double Sampler::weight(float logit) const {
  return static_cast<double>(exp_negative((logit - largest_) * static_cast<float>(1.0 / options_.temperature)));
}

// A whole vocabulary is not sorted: bands of logits are, from the top down, as many as are needed.
void Sampler::rank_band(std::span<const float> logits) {
  const float floor = band_ > kDeepestBand ? -INFINITY : static_cast<float>(largest_ - band_ * options_.temperature);
  const std::size_t first = ranked_.size();
  for (std::size_t i = 0; i < logits.size(); ++i)
    if (logits[i] < ranked_to_ && logits[i] >= floor && std::isfinite(logits[i]))
      ranked_.push_back({logits[i], static_cast<std::int32_t>(i)});
  std::sort(ranked_.begin() + static_cast<std::ptrdiff_t>(first), ranked_.end(), is_better);
  ranked_to_ = floor;
  band_ *= 2;
}

// Whether there are more than `rank` finite logits; so many are ranked then.
bool Sampler::has_rank(std::span<const float> logits, std::size_t rank) {
  while (rank >= ranked_.size() && ranked_to_ > -INFINITY) rank_band(logits);
  return rank < ranked_.size();
}

std::int32_t Sampler::draw(std::span<const float> logits, double chance) {
  const std::size_t most =
      options_.top_k > 0 ? static_cast<std::size_t>(options_.top_k) : std::numeric_limits<std::size_t>::max();
  double all = 0.0;
  if (options_.top_k > 0) {
    for (std::size_t i = 0; i < most && has_rank(logits, i); ++i) all += weight(ranked_[i].logit);
  } else {
    all = sum_of_weights(logits, largest_, static_cast<float>(1.0 / options_.temperature));
  }
  double kept = all;
  std::size_t num_kept = most;
  if (options_.top_p < 1.0 || options_.min_p > 0.0) {
    kept = 0.0;
    for (num_kept = 0; num_kept < most && has_rank(logits, num_kept); ++num_kept) {
      const double next = weight(ranked_[num_kept].logit);
      const bool enough = (options_.top_p < 1.0 && kept >= options_.top_p * all) || next < options_.min_p;
      if (num_kept > 0 && enough) break;
      kept += next;
    }
  }
  return pick(logits, chance * kept, num_kept);
}

// The one of the first num_kept within whose share `target` falls; the last where rounding left a rest.
std::int32_t Sampler::pick(std::span<const float> logits, double target, std::size_t num_kept) {
  std::int32_t id = 0;
  for (std::size_t i = 0; i < num_kept && has_rank(logits, i); ++i) {
    id = ranked_[i].id;
    const double share = weight(ranked_[i].logit);
    if (target < share) break;
    target -= share;
  }
  return id;
}

std::int32_t Sampler::sample(std::span<const float> logits, std::span<const std::int32_t> context) {
  QUERNEL_CHECK(!logits.empty(), "logits of an empty vocabulary");
  logits = moved(logits, context);
  if (options_.temperature == 0.0) return argmax(logits);
  largest_ = largest_of(logits);
  if (!std::isfinite(largest_)) return argmax(logits);
  ranked_.clear();
  ranked_.reserve(logits.size());
  ranked_to_ = INFINITY;
  band_ = kFirstBand;
  return draw(logits, chance_at(options_.seed, context.size()));
}

std::int64_t Sampler::num_needed() const {
  if (moves_logits()) return 0;
  return options_.temperature == 0.0 ? 1 : options_.top_k;
}

std::int32_t Sampler::sample_top(std::span<const TopToken> best, std::span<const std::int32_t> context) {
  QUERNEL_CHECK(num_needed() > 0, "the best tokens alone do not decide");
  if (best.empty()) return 0;  // no logit is a number: as argmax
  if (options_.temperature == 0.0 || !std::isfinite(best.front().logit)) return best.front().id;
  largest_ = best.front().logit;
  ranked_.assign(best.begin(), best.end());
  ranked_to_ = -INFINITY;  // there is nothing behind them
  return draw({}, chance_at(options_.seed, context.size()));
}

}  // namespace quernel::runtime
