#include "eval/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/check.h"

namespace quernel::eval {

Mean mean_of(std::span<const double> values) {
  QUERNEL_CHECK(!values.empty());
  const auto count = static_cast<double>(values.size());
  double sum = 0.0;
  for (const double value : values) sum += value;
  const double mean = sum / count;
  double squares = 0.0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {mean, values.size() == 1 ? 0.0 : std::sqrt(squares / (count * (count - 1.0)))};
}

double quantile(std::span<const double> sorted, double q) {
  QUERNEL_CHECK(!sorted.empty() && q >= 0.0 && q <= 1.0, "quantile {} of {} values", q, sorted.size());
  const double position = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace quernel::eval
