#include "runtime/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace quernel::runtime {
namespace {

Status check_range(const char* name, double value, bool fits, const char* expected) {
  if (fits) return ok_status();
  return Error(Fault::invalid_argument, "a sampling option is out of range")
      .in_field(name)
      .expect(expected, fmt::format("{}", value));
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
      check_range("temperature", o.temperature, o.temperature >= 0 && std::isfinite(o.temperature), "0 or more"));
  QUERNEL_TRY_STATUS(check_range("top_k", static_cast<double>(o.top_k), o.top_k >= 0, "0 or more"));
  QUERNEL_TRY_STATUS(check_range("top_p", o.top_p, o.top_p > 0 && o.top_p <= 1, "above 0, at most 1"));
  QUERNEL_TRY_STATUS(check_range("min_p", o.min_p, o.min_p >= 0 && o.min_p <= 1, "0 to 1"));
  QUERNEL_TRY_STATUS(check_range("repetition_penalty", o.repetition_penalty,
                                 o.repetition_penalty > 0 && std::isfinite(o.repetition_penalty), "above 0"));
  QUERNEL_TRY_STATUS(check_range("repetition_window", static_cast<double>(o.repetition_window),
                                 o.repetition_window >= 0, "0 or more"));
  return Sampler(options);
}

Sampler::Sampler(const SamplerOptions& options) : options_(options), rng_(options.seed, "sampler") {}

void Sampler::penalize(std::span<const std::int32_t> context) {
  const auto window = static_cast<std::size_t>(options_.repetition_window);
  if (window > 0 && context.size() > window) context = context.last(window);
  std::vector<std::int32_t> seen(context.begin(), context.end());
  std::sort(seen.begin(), seen.end());
  seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
  const auto penalty = static_cast<float>(options_.repetition_penalty);
  for (const std::int32_t id : seen) {
    if (id < 0 || static_cast<std::size_t>(id) >= logits_.size()) continue;
    float& logit = logits_[static_cast<std::size_t>(id)];
    logit = logit > 0 ? logit / penalty : logit * penalty;
  }
}

std::int32_t Sampler::draw() {
  // candidates_ holds logits; likeliest first, the lower id of equals first.
  const auto likelier = [](const Candidate& a, const Candidate& b) {
    return a.value != b.value ? a.value > b.value : a.id < b.id;
  };
  std::size_t count = candidates_.size();
  if (options_.top_k > 0) count = std::min(count, static_cast<std::size_t>(options_.top_k));
  if (count < candidates_.size()) {
    std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(count), candidates_.end(),
                      likelier);
    candidates_.resize(count);
  } else {
    std::sort(candidates_.begin(), candidates_.end(), likelier);
  }
  const double largest = candidates_.front().value;
  double total = 0.0;
  for (Candidate& candidate : candidates_) {
    candidate.value = std::exp((candidate.value - largest) / options_.temperature);
    total += candidate.value;
  }
  double kept = 0.0;
  std::size_t num_kept = 0;
  for (const Candidate& candidate : candidates_) {
    const bool enough = kept >= options_.top_p * total || candidate.value < options_.min_p;
    if (num_kept > 0 && enough) break;
    kept += candidate.value;
    ++num_kept;
  }
  double target = rng_.uniform() * kept;
  for (std::size_t i = 0; i + 1 < num_kept; ++i) {
    if (target < candidates_[i].value) return candidates_[i].id;
    target -= candidates_[i].value;
  }
  return candidates_[num_kept - 1].id;
}

std::int32_t Sampler::sample(std::span<const float> logits, std::span<const std::int32_t> context) {
  QUERNEL_CHECK(!logits.empty(), "logits of an empty vocabulary");
  if (options_.repetition_penalty != 1.0) {
    logits_.assign(logits.begin(), logits.end());
    penalize(context);
    logits = logits_;
  }
  if (options_.temperature == 0.0) return argmax(logits);
  candidates_.clear();
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (std::isfinite(logits[i])) candidates_.push_back({logits[i], static_cast<std::int32_t>(i)});
  }
  if (candidates_.empty()) return argmax(logits);
  return draw();
}

}  // namespace quernel::runtime
