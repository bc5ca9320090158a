#include "runtime/penalties.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace quernel::runtime {
namespace {

constexpr double kMostPenalty = 1e30;  // powers of the base pass any range; this much bans as well

std::span<const std::int32_t> last_of(std::span<const std::int32_t> context, std::int64_t window) {
  const auto count = static_cast<std::size_t>(window);
  return window > 0 && context.size() > count ? context.last(count) : context;
}

bool is_known(std::int32_t id, std::span<const float> logits) {
  return id >= 0 && static_cast<std::size_t>(id) < logits.size();
}

// How far the text before each token agrees with the text's end: [i] is the length of the longest common prefix of `backward` and its
// rest from i on (the Z function, linear).
std::vector<std::size_t> common_lengths(std::span<const std::int32_t> backward) {
  std::vector<std::size_t> length(backward.size(), 0);
  std::size_t left = 0;
  std::size_t right = 0;  // [left, right) is the stretch known to agree that reaches furthest
  for (std::size_t i = 1; i < backward.size(); ++i) {
    std::size_t n = i < right ? std::min(right - i, length[i - left]) : 0;
    while (i + n < backward.size() && backward[n] == backward[i + n]) ++n;
    length[i] = n;
    if (i + n > right) {
      left = i;
      right = i + n;
    }
  }
  return length;
}

}  // namespace

Status check_option(const char* name, double value, bool fits, const char* expected) {
  if (fits) return ok_status();
  return Error(Fault::invalid_argument, "a sampling option is out of range")
      .in_field(name)
      .expect(expected, fmt::format("{}", value));
}

Status check_bias(std::span<const LogitBias> biases) {
  for (const LogitBias& bias : biases) {
    QUERNEL_TRY_STATUS(check_option("logit_bias", bias.id, bias.id >= 0, "token ids of 0 or more"));
    QUERNEL_TRY_STATUS(check_option("logit_bias", bias.value, std::isfinite(bias.value) || bias.value == -INFINITY,
                                    "finite numbers or minus infinity"));
  }
  return ok_status();
}

Status check_penalties(const SeenPenalties& p) {
  QUERNEL_TRY_STATUS(
      check_option("repetition_penalty", p.repetition, p.repetition > 0 && std::isfinite(p.repetition), "above 0"));
  QUERNEL_TRY_STATUS(check_option("presence_penalty", p.presence, std::isfinite(p.presence), "a finite number"));
  QUERNEL_TRY_STATUS(check_option("frequency_penalty", p.frequency, std::isfinite(p.frequency), "a finite number"));
  return check_option("repetition_window", static_cast<double>(p.window), p.window >= 0, "0 or more");
}

Status check_dry(const DryOptions& o) {
  QUERNEL_TRY_STATUS(
      check_option("dry_multiplier", o.multiplier, o.multiplier >= 0 && std::isfinite(o.multiplier), "0 or more"));
  QUERNEL_TRY_STATUS(check_option("dry_base", o.base, o.base >= 1 && std::isfinite(o.base), "1 or more"));
  QUERNEL_TRY_STATUS(
      check_option("dry_allowed_length", static_cast<double>(o.allowed_length), o.allowed_length >= 1, "1 or more"));
  return check_option("dry_range", static_cast<double>(o.range), o.range >= 0, "0 or more");
}

void add_bias(std::span<const LogitBias> biases, std::span<float> logits) {
  for (const LogitBias& bias : biases)
    if (is_known(bias.id, logits)) logits[static_cast<std::size_t>(bias.id)] += static_cast<float>(bias.value);
}

void penalize_seen(const SeenPenalties& penalties, std::span<const std::int32_t> context, std::span<float> logits) {
  context = last_of(context, penalties.window);
  std::vector<std::int32_t> seen(context.begin(), context.end());
  std::sort(seen.begin(), seen.end());
  const auto repetition = static_cast<float>(penalties.repetition);
  for (auto first = seen.begin(); first != seen.end();) {
    const auto end = std::upper_bound(first, seen.end(), *first);
    if (is_known(*first, logits)) {
      float& logit = logits[static_cast<std::size_t>(*first)];
      logit = logit > 0 ? logit / repetition : logit * repetition;
      logit -= static_cast<float>(penalties.presence + penalties.frequency * static_cast<double>(end - first));
    }
    first = end;
  }
}

void penalize_repeats(const DryOptions& options, std::span<const std::int32_t> context, std::span<float> logits) {
  context = last_of(context, options.range);
  if (options.multiplier == 0.0 || context.size() < 2) return;
  const std::vector<std::int32_t> backward(context.rbegin(), context.rend());
  const auto is_breaker = [&](std::int32_t id) {
    return std::find(options.breakers.begin(), options.breakers.end(), id) != options.breakers.end();
  };
  const auto reach = static_cast<std::size_t>(std::find_if(backward.begin(), backward.end(), is_breaker) -
                                              backward.begin());  // up to the last breaker
  const std::vector<std::size_t> agree = common_lengths(backward);
  struct Repeat {
    std::int32_t id;  // the token that would go on
    std::size_t length;
  };
  std::vector<Repeat> repeats;
  for (std::size_t i = 1; i < backward.size(); ++i) {
    const std::size_t length = std::min(agree[i], reach);
    const std::int32_t next = backward[i - 1];
    if (length >= static_cast<std::size_t>(options.allowed_length) && is_known(next, logits) && !is_breaker(next))
      repeats.push_back({next, length});
  }
  // Of each token its longest stretch, once.
  std::sort(repeats.begin(), repeats.end(),
            [](const Repeat& a, const Repeat& b) { return a.id != b.id ? a.id < b.id : a.length > b.length; });
  std::int32_t before = -1;
  for (const auto& [id, length] : repeats) {
    if (id == before) continue;
    before = id;
    const double power =
        std::pow(options.base, static_cast<double>(length) - static_cast<double>(options.allowed_length));
    logits[static_cast<std::size_t>(id)] -= static_cast<float>(std::min(options.multiplier * power, kMostPenalty));
  }
}

}  // namespace quernel::runtime
