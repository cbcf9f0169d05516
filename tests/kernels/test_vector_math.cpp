#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "kernels/base/vector_math.hpp"

namespace strata::testing {
namespace {

// Largest error of f against g (in double) over [low, high], in units of the result's last place.
template <class F, class G>
double worst_ulps(F f, G g, double low, double high, double floor) {
  double worst = 0;
  constexpr int kPoints = 200000;
  for (int i = 0; i <= kPoints; ++i) {
    const float x = static_cast<float>(low + (high - low) * i / kPoints);
    const double exact = g(static_cast<double>(x));
    const double ulp = std::max(std::abs(exact), floor) * std::numeric_limits<float>::epsilon();
    worst = std::max(worst, std::abs(static_cast<double>(f(x)) - exact) / ulp);
  }
  return worst;
}

}  // namespace

TEST_CASE("elementary functions are within a few units in the last place of the C library's") {
  CHECK(worst_ulps(
            cpu::exp_lane, [](double x) { return std::exp(x); }, -87, 88, 0) < 2);
  CHECK(worst_ulps(
            cpu::expm1_lane, [](double x) { return std::expm1(x); }, -20, 20, 0) < 3);
  CHECK(worst_ulps(
            cpu::expm1_lane, [](double x) { return std::expm1(x); }, -1e-3, 1e-3, 0) < 3);
  CHECK(worst_ulps(
            cpu::tanh_lane, [](double x) { return std::tanh(x); }, -12, 12, 0) < 4);
  CHECK(worst_ulps(
            cpu::erf_lane, [](double x) { return std::erf(x); }, -5, 5, 0) < 3);
  CHECK(worst_ulps(
            cpu::sigmoid_lane, [](double x) { return 1 / (1 + std::exp(-x)); }, -80, 80, 0) < 4);
}

TEST_CASE("elementary functions at the ends of the range") {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(cpu::exp_lane(0) == 1);
  CHECK(cpu::exp_lane(-1000) == 0);
  CHECK(cpu::exp_lane(-infinity) == 0);
  CHECK(cpu::exp_lane(1000) == infinity);
  CHECK(cpu::exp_lane(infinity) == infinity);
  CHECK(std::abs(cpu::exp_lane(-100) - std::exp(-100.0)) <= 2 * std::numeric_limits<float>::denorm_min());
  CHECK(cpu::expm1_lane(0) == 0);
  CHECK(cpu::tanh_lane(100) == 1);
  CHECK(cpu::tanh_lane(-infinity) == -1);
  CHECK(cpu::erf_lane(10) == 1);
  CHECK(cpu::erf_lane(-infinity) == -1);
  CHECK(cpu::sigmoid_lane(-1000) == 0);
  CHECK(cpu::sigmoid_lane(1000) == 1);
  for (const auto f : {cpu::exp_lane, cpu::tanh_lane, cpu::erf_lane, cpu::sigmoid_lane}) CHECK(std::isnan(f(nan)));
}

}  // namespace strata::testing
