#include "calib/sampling.h"

#include <algorithm>
#include <array>
#include <unordered_set>

#include "base/rng.h"
#include "base/sha256.h"

namespace quernel::calib {

namespace {

// Robert Floyd's method: `count` different numbers below `bound`, every set equally likely; sorted.
std::vector<std::int64_t> distinct_below(CounterRng& rng, std::int64_t bound, std::int64_t count) {
  std::unordered_set<std::int64_t> chosen;
  std::vector<std::int64_t> sorted;
  for (std::int64_t top = bound - count; top < bound; ++top) {
    const auto draw = static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(top) + 1));
    const std::int64_t value = chosen.contains(draw) ? top : draw;
    chosen.insert(value);
    sorted.push_back(value);
  }
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

// Starts of windows of `length` tokens. With each window shrunk to one place, a placement without overlap is a set of
// `count` places out of tokens - count * (length - 1); growing them back shifts window i by i * (length - 1).
std::vector<std::int64_t> window_starts(std::int64_t tokens, std::int64_t length, std::int64_t count,
                                        const SamplingOptions& options) {
  std::vector<std::int64_t> starts(static_cast<std::size_t>(count));
  if (options.mode == SampleMode::first) {
    for (std::int64_t i = 0; i < count; ++i) starts[static_cast<std::size_t>(i)] = i * length;
    return starts;
  }
  CounterRng rng(options.seed, "calibration windows");
  starts = distinct_below(rng, tokens - count * (length - 1), count);
  for (std::int64_t i = 0; i < count; ++i) starts[static_cast<std::size_t>(i)] += i * (length - 1);
  return starts;
}

// Places for windows of `length` tokens in what the chosen ones leave, laid side by side from the start of each gap.
std::vector<std::int64_t> held_out_starts(std::int64_t tokens, std::int64_t length,
                                          const std::vector<std::int64_t>& taken, const SamplingOptions& options) {
  std::vector<std::int64_t> places;
  std::int64_t free_from = 0;
  const auto add_gap = [&](std::int64_t end) {
    for (; free_from + length <= end; free_from += length) places.push_back(free_from);
  };
  for (const std::int64_t start : taken) {
    add_gap(start);
    free_from = start + length;
  }
  add_gap(tokens);
  const auto possible = static_cast<std::int64_t>(places.size());
  CounterRng rng(options.seed, "held-out windows");
  std::vector<std::int64_t> starts;
  for (const std::int64_t place : distinct_below(rng, possible, std::min(options.held_out, possible))) {
    starts.push_back(places[static_cast<std::size_t>(place)]);
  }
  return starts;
}

std::string hash_windows(const std::vector<std::vector<std::int32_t>>& windows) {
  Sha256 hash;
  std::vector<std::byte> bytes;
  for (const std::vector<std::int32_t>& window : windows) {
    bytes.clear();
    for (const std::int32_t id : window) {
      const auto bits = static_cast<std::uint32_t>(id);
      for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<std::byte>(bits >> shift & 0xFF));
    }
    hash.update(bytes);
  }
  return hash.finish_hex();
}

Error too_short(std::int64_t tokens, std::int64_t needed, std::int64_t possible, std::int64_t text_length,
                const SamplingOptions& options) {
  Error error(Fault::invalid_argument, "calibration text is too short");
  const std::string hint =
      possible > 0 ? fmt::format("give more text, or ask for {} samples of {} tokens", possible, options.length)
                   : fmt::format("give more text, or shorter samples: one of {} tokens would fit",
                                 std::max<std::int64_t>(tokens + options.length - text_length, 0));
  return std::move(error)
      .expect(fmt::format("{} tokens for {} samples of {}", needed, options.count, options.length),
              fmt::format("{} tokens", tokens))
      .with_hint(hint);
}

}  // namespace

Result<CalibrationSamples> sample_windows(std::span<const std::int32_t> text_tokens, const SamplingOptions& options) {
  constexpr std::int64_t kMaxCount = 1 << 24;  // keeps count * length far from overflow
  constexpr std::int64_t kMaxLength = 1 << 24;
  const std::int64_t text_length = options.length - (options.bos.has_value() ? 1 : 0);
  if (options.count < 1 || options.count > kMaxCount || text_length < 1 || options.length > kMaxLength) {
    Error error(Fault::invalid_argument, "calibration needs at least one sample of at least one token");
    return std::move(error).expect(fmt::format("1 to {} samples of 1 to {} tokens", kMaxCount, kMaxLength),
                                   fmt::format("{} samples of {} tokens", options.count, options.length));
  }
  const auto tokens = static_cast<std::int64_t>(text_tokens.size());
  const std::int64_t possible = tokens / text_length;
  if (possible < options.count && (!options.allow_fewer || possible == 0)) {
    return too_short(tokens, options.count * text_length, possible, text_length, options);
  }
  CalibrationSamples samples;
  samples.length = options.length;
  samples.requested = options.count;
  samples.text_tokens = tokens;
  const auto cut = [&](std::int64_t start) {
    std::vector<std::int32_t> window;
    window.reserve(static_cast<std::size_t>(options.length));
    if (options.bos.has_value()) window.push_back(*options.bos);
    const auto piece = text_tokens.subspan(static_cast<std::size_t>(start), static_cast<std::size_t>(text_length));
    window.insert(window.end(), piece.begin(), piece.end());
    return window;
  };
  const std::vector<std::int64_t> starts =
      window_starts(tokens, text_length, std::min(options.count, possible), options);
  for (const std::int64_t start : starts) samples.windows.push_back(cut(start));
  for (const std::int64_t start : held_out_starts(tokens, text_length, starts, options)) {
    samples.held_out.push_back(cut(start));
  }
  samples.sha256 = hash_windows(samples.windows);
  return samples;
}

Result<CalibrationSamples> sample_text(const text::Tokenizer& tokenizer, std::string_view text,
                                       SamplingOptions options) {
  if (!options.bos.has_value() && tokenizer.vocabulary().add_bos) options.bos = tokenizer.vocabulary().bos;
  return sample_windows(tokenizer.encode(text), options);
}

const char* to_string(SampleMode mode) { return mode == SampleMode::random ? "random" : "first"; }

Result<SampleMode> parse_sample_mode(const std::string& name) {
  if (name == "random") return SampleMode::random;
  if (name == "first") return SampleMode::first;
  Error error(Fault::invalid_argument, "unknown way to choose calibration samples");
  return std::move(error).expect("random or first", name);
}

}  // namespace quernel::calib
