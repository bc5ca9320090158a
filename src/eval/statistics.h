// Mean, spread and quantiles of measured values.
//
// Formula  mean; standard error = sqrt(sum (x - mean)^2 / (n (n - 1))), 0 for one value; quantile: linear between order
//          statistics, position q (n - 1)
// Exact    sums in double, in the order of the values
// Threads  pure functions
#pragma once

#include <span>
#include <vector>

namespace quernel::eval {

struct Mean {
  double value = 0.0;
  double standard_error = 0.0;
};

Mean mean_of(std::span<const double> values);  // at least one value

// sorted: rising, at least one value; 0 <= q <= 1.
double quantile(std::span<const double> sorted, double q);

}  // namespace quernel::eval
