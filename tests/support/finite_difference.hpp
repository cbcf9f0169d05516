// Is a vector the gradient of a function? Central differences in double with step 1e-6: their own error is about
// 1e-10 |f|, so relative errors below 1e-6 of the gradient's largest entry are within reach of a correct gradient only.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace strata::testing {

inline constexpr double kDifferenceStep = 1e-6;

// Largest |difference quotient - gradient| over the entries, relative to the gradient's largest entry.
// `f` maps a vector to a double and has no state.
template <class F>
double gradient_error(F f, std::vector<double> at, const std::vector<double>& gradient) {
  double largest = 0;
  double error = 0;
  for (std::size_t i = 0; i < at.size(); ++i) {
    const double centre = at[i];
    at[i] = centre + kDifferenceStep;
    const double above = f(at);
    at[i] = centre - kDifferenceStep;
    const double below = f(at);
    at[i] = centre;
    error = std::max(error, std::abs((above - below) / (2 * kDifferenceStep) - gradient[i]));
    largest = std::max(largest, std::abs(gradient[i]));
  }
  return largest > 0 ? error / largest : error;
}

inline double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace strata::testing
