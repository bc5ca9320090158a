#include "model/rope_recover.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace quernel::model {

namespace {

constexpr double kTolerance = 1e-5;

double wavelength(double theta, std::int64_t rotary_dim, std::int64_t index) {
  const double exponent = 2.0 * static_cast<double>(index) / static_cast<double>(rotary_dim);
  return 2.0 * std::numbers::pi * std::pow(theta, exponent);
}

bool reproduces(const Llama3Scaling& scaling, const std::vector<float>& divisors, double theta) {
  const auto rotary_dim = static_cast<std::int64_t>(divisors.size()) * 2;
  for (std::size_t i = 0; i < divisors.size(); ++i) {
    const double made = llama3_divisor(scaling, theta, rotary_dim, static_cast<std::int64_t>(i));
    if (!(std::abs(made - static_cast<double>(divisors[i])) <= kTolerance * made)) return false;
  }
  return true;
}

// In the blend, t is a line over 1 / wavelength; two divisors fix it. Only ratios are fixed, so low is set to 1.
std::optional<Llama3Scaling> fit_line(const std::vector<float>& divisors, double theta, double factor) {
  const auto rotary_dim = static_cast<std::int64_t>(divisors.size()) * 2;
  std::vector<std::pair<double, double>> points;  // (1 / wavelength, t)
  for (std::size_t i = 0; i < divisors.size(); ++i) {
    const double divisor = static_cast<double>(divisors[i]);
    if (divisor <= 1.0 + kTolerance || divisor >= factor * (1.0 - kTolerance)) continue;
    const double t = (1.0 / divisor - 1.0 / factor) / (1.0 - 1.0 / factor);
    points.emplace_back(1.0 / wavelength(theta, rotary_dim, static_cast<std::int64_t>(i)), t);
  }
  if (points.size() < 2) return std::nullopt;
  const auto& [x0, t0] = points.front();
  const auto& [x1, t1] = points.back();
  const double slope = (t1 - t0) / (x1 - x0);  // original / (high - low)
  const double offset = slope * x0 - t0;       // low / (high - low)
  if (!(slope > 0.0) || !(offset > 0.0)) return std::nullopt;
  Llama3Scaling scaling{.factor = factor, .low_freq_factor = 1.0, .high_freq_factor = 1.0 + 1.0 / offset};
  scaling.original_context = std::round(slope / offset);
  // Files state whole or short numbers; rounding is undone below if it does not fit.
  const double rounded = std::round(scaling.high_freq_factor * 1000.0) / 1000.0;
  if (rounded > 1.0 && std::abs(rounded - scaling.high_freq_factor) < 1e-3) scaling.high_freq_factor = rounded;
  return scaling;
}

}  // namespace

double llama3_divisor(const Llama3Scaling& scaling, double theta, std::int64_t rotary_dim, std::int64_t index) {
  const double length = wavelength(theta, rotary_dim, index);
  if (length < scaling.original_context / scaling.high_freq_factor) return 1.0;
  if (length > scaling.original_context / scaling.low_freq_factor) return scaling.factor;
  const double t = (scaling.original_context / length - scaling.low_freq_factor) /
                   (scaling.high_freq_factor - scaling.low_freq_factor);
  return 1.0 / ((1.0 - t) / scaling.factor + t);
}

std::optional<Llama3Scaling> recover_llama3(const std::vector<float>& divisors, double theta) {
  if (divisors.empty() || !(theta > 1.0)) return std::nullopt;
  const double factor = static_cast<double>(*std::max_element(divisors.begin(), divisors.end()));
  if (!std::isfinite(factor) || !(factor > 1.0)) return std::nullopt;
  const Llama3Scaling published{.factor = factor};  // Llama 3.1 to 3.3 differ in the factor alone
  if (reproduces(published, divisors, theta)) return published;
  const std::optional<Llama3Scaling> fitted = fit_line(divisors, theta, factor);
  return fitted && reproduces(*fitted, divisors, theta) ? fitted : std::nullopt;
}

}  // namespace quernel::model
