#include "runtime/sampler.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/rng.h"

namespace quernel::runtime {
namespace {

SeenPenalties seen_penalties(const SamplerOptions& o) {
  return {o.repetition_penalty, o.presence_penalty, o.frequency_penalty, o.repetition_window};
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

// For a heap with the likeliest on top: the higher logit, the lower id of equals.
template <class Candidate>
bool less_likely(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit < b.logit : a.id > b.id;
}

}  // namespace

std::int32_t argmax(std::span<const float> values) {
  QUERNEL_CHECK(!values.empty(), "argmax of nothing");
  std::size_t best = 0;
  float largest = -INFINITY;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] > largest) {
      largest = values[i];
      best = i;
    }
  }
  return static_cast<std::int32_t>(best);
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

std::span<const float> Sampler::moved(std::span<const float> logits, std::span<const std::int32_t> context) {
  const SeenPenalties seen = seen_penalties(options_);
  const bool penalizes = seen.repetition != 1.0 || seen.presence != 0.0 || seen.frequency != 0.0;
  if (!penalizes && options_.logit_bias.empty() && options_.dry.multiplier == 0.0) return logits;
  logits_.assign(logits.begin(), logits.end());
  add_bias(options_.logit_bias, logits_);
  if (penalizes) penalize_seen(seen, context, logits_);
  penalize_repeats(options_.dry, context, logits_);
  return logits_;
}

Sampler::Candidate Sampler::take_likeliest() {
  std::pop_heap(candidates_.begin(), candidates_.end(), less_likely<Candidate>);
  const Candidate taken = candidates_.back();
  candidates_.pop_back();
  return taken;
}

void Sampler::keep_top_k() {
  const auto top_k = static_cast<std::size_t>(options_.top_k);
  if (top_k == 0 || top_k >= candidates_.size()) return;
  std::nth_element(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(top_k - 1), candidates_.end(),
                   [](const auto& a, const auto& b) { return less_likely(b, a); });
  candidates_.resize(top_k);
}

// Weights of all candidates; what they sum up to, and what those that pass min-p do.
Sampler::Mass Sampler::weigh() {
  double largest = -INFINITY;
  for (const Candidate& candidate : candidates_) largest = std::max(largest, candidate.logit);
  Mass mass;
  for (Candidate& candidate : candidates_) {
    candidate.weight = std::exp((candidate.logit - largest) / options_.temperature);
    mass.all += candidate.weight;
    if (candidate.weight >= options_.min_p) mass.kept += candidate.weight;
  }
  return mass;
}

// A whole vocabulary is not sorted: a heap gives up the likeliest ones, as many as are needed.
std::int32_t Sampler::draw(double chance) {
  keep_top_k();
  Mass mass = weigh();
  std::make_heap(candidates_.begin(), candidates_.end(), less_likely<Candidate>);
  const auto none_left = [this] { return candidates_.empty() || candidates_.front().weight < options_.min_p; };
  kept_.clear();
  if (options_.top_p < 1.0) {
    const double enough = options_.top_p * mass.all;
    for (mass.kept = 0.0; kept_.empty() || (mass.kept < enough && !none_left());) {
      kept_.push_back(take_likeliest());
      mass.kept += kept_.back().weight;
    }
    candidates_.clear();
  }
  double target = chance * mass.kept;
  for (std::size_t i = 0;; ++i) {
    if (i == kept_.size()) kept_.push_back(take_likeliest());
    if (target < kept_[i].weight || (i + 1 == kept_.size() && none_left())) return kept_[i].id;
    target -= kept_[i].weight;
  }
}

std::int32_t Sampler::sample(std::span<const float> logits, std::span<const std::int32_t> context) {
  QUERNEL_CHECK(!logits.empty(), "logits of an empty vocabulary");
  logits = moved(logits, context);
  if (options_.temperature == 0.0) return argmax(logits);
  candidates_.clear();
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (std::isfinite(logits[i])) candidates_.push_back({logits[i], 0.0, static_cast<std::int32_t>(i)});
  }
  if (candidates_.empty()) return argmax(logits);
  return draw(chance_at(options_.seed, context.size()));
}

}  // namespace quernel::runtime
