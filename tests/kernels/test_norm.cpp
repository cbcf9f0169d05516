#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/differential.hpp"
#include "tests/support/random.hpp"

namespace strata::testing {
namespace {

std::string text(std::size_t rows, std::size_t cols, std::size_t padding) {
  return "rows " + std::to_string(rows) + ", cols " + std::to_string(cols) + " + " + std::to_string(padding);
}

void layer_norm_case(std::size_t rows, std::size_t cols, std::size_t padding, std::uint64_t seed) {
  Random random(seed);
  const auto z_values = random.reals(rows * cols, 1, 3);
  const auto gain_values = random.reals(cols, 0.5, 1.5);
  Case forward("layer_norm_forward", text(rows, cols, padding), seed);
  {
    const auto z = forward.input(z_values, rows, cols, cols + padding);
    const auto gain = forward.input(gain_values);
    const auto offset = forward.input(random.reals(cols));
    const auto y = forward.output(rows, cols, cols + padding);
    const auto mean = forward.in_out(std::vector<double>(rows, 7.0));
    const auto rstd = forward.in_out(std::vector<double>(rows, 7.0));
    forward.exact();
    forward.run([=](auto body, auto& a) {
      using T = typename std::remove_reference_t<decltype(a)>::Real;
      const T* g = a.reals(gain);
      const T* o = a.reals(offset);
      body.layer_norm_forward(a.in(z), g, o, T{1e-5}, a.out(y), a.reals(mean), a.reals(rstd));
    });
  }
  Case backward("layer_norm_backward", text(rows, cols, padding), seed);
  const auto z = backward.input(z_values, rows, cols, cols + padding);
  const auto gain = backward.input(gain_values);
  const auto mean = backward.input(random.reals(rows, 1, 3));
  const auto rstd = backward.input(random.reals(rows, 0.5, 2));
  const auto dy = backward.input(random.reals(rows * cols), rows, cols, cols + padding);
  const auto dz = backward.output(rows, cols, cols + padding);
  const auto dgain = backward.in_out(random.reals(cols));
  const auto doffset = backward.in_out(random.reals(cols));
  backward.exact();
  backward.run([=](auto body, auto& a) {
    using T = typename std::remove_reference_t<decltype(a)>::Real;
    const T* g = a.reals(gain);
    const T* m = a.reals(mean);
    const T* r = a.reals(rstd);
    body.layer_norm_backward(a.in(z), g, m, r, a.in(dy), a.out(dz), a.reals(dgain), a.reals(doffset));
  });
}

void column_sums_case(std::size_t rows, std::size_t cols, std::size_t padding, bool shifted, std::uint64_t seed) {
  Random random(seed);
  Case c("column_sums", text(rows, cols, padding), seed);
  const auto z = c.input(random.reals(rows * cols), rows, cols, cols + padding);
  const auto shift = c.input(random.reals(shifted ? cols : 0));
  const auto sum = c.in_out(random.reals(cols));
  const auto sum_sq = c.in_out(random.reals(cols));
  c.exact();
  c.run([=](auto body, auto& a) {
    using T = typename std::remove_reference_t<decltype(a)>::Real;
    const T* s = a.reals(shift);
    body.column_sums(a.in(z), s, a.reals(sum), a.reals(sum_sq));
  });
}

void batch_norm_case(std::size_t rows, std::size_t cols, std::size_t padding, std::uint64_t seed) {
  Random random(seed);
  const auto z_values = random.reals(rows * cols, 1, 3);
  const auto dy_values = random.reals(rows * cols);
  const auto mean_values = random.reals(cols, 1, 3);
  const auto rstd_values = random.reals(cols, 0.5, 2);
  Case apply("batch_norm_apply", text(rows, cols, padding), seed);
  {
    const auto z = apply.input(z_values, rows, cols, cols + padding);
    const auto mean = apply.input(mean_values);
    const auto rstd = apply.input(rstd_values);
    const auto gain = apply.input(random.reals(cols));
    const auto offset = apply.input(random.reals(cols));
    const auto y = apply.output(rows, cols, cols + padding);
    apply.exact();
    apply.run([=](auto body, auto& a) {
      using T = typename std::remove_reference_t<decltype(a)>::Real;
      const T* statistics[] = {a.reals(mean), a.reals(rstd), a.reals(gain), a.reals(offset)};
      body.batch_norm_apply(a.in(z), statistics[0], statistics[1], statistics[2], statistics[3], a.out(y));
    });
  }
  Case sums("batch_norm_backward_sums", text(rows, cols, padding), seed);
  {
    const auto z = sums.input(z_values, rows, cols, cols + padding);
    const auto dy = sums.input(dy_values, rows, cols, cols + padding);
    const auto mean = sums.input(mean_values);
    const auto rstd = sums.input(rstd_values);
    const auto sum_dy = sums.in_out(random.reals(cols));
    const auto sum_dy_zhat = sums.in_out(random.reals(cols));
    sums.exact();
    sums.run([=](auto body, auto& a) {
      using T = typename std::remove_reference_t<decltype(a)>::Real;
      const T* statistics[] = {a.reals(mean), a.reals(rstd)};
      body.batch_norm_backward_sums(a.in(z), statistics[0], statistics[1], a.in(dy), a.reals(sum_dy),
                                    a.reals(sum_dy_zhat));
    });
  }
  Case backward("batch_norm_backward", text(rows, cols, padding), seed);
  const auto z = backward.input(z_values, rows, cols, cols + padding);
  const auto dy = backward.input(dy_values, rows, cols, cols + padding);
  const auto mean = backward.input(mean_values);
  const auto rstd = backward.input(rstd_values);
  const auto gain = backward.input(random.reals(cols));
  const auto sum_dy = backward.input(random.reals(cols));
  const auto sum_dy_zhat = backward.input(random.reals(cols));
  const auto dz = backward.output(rows, cols, cols + padding);
  backward.exact();
  backward.run([=](auto body, auto& a) {
    using T = typename std::remove_reference_t<decltype(a)>::Real;
    const T* s[] = {a.reals(mean), a.reals(rstd), a.reals(gain), a.reals(sum_dy), a.reals(sum_dy_zhat)};
    body.batch_norm_backward(a.in(z), s[0], s[1], s[2], s[3], s[4], 3 * rows, a.in(dy), a.out(dz));
  });
}

}  // namespace

TEST_CASE("norms at every edge length") {
  for (const std::size_t cols : edge_lengths()) {
    if (cols == 0) continue;  // a row of no elements has no mean
    layer_norm_case(5, cols, cols % 3, cols);
    column_sums_case(33, cols, cols % 3, cols % 2 == 0, cols);
    batch_norm_case(17, cols, cols % 3, cols);
  }
  for (const std::size_t rows : {0, 1, 1023, 1024, 1025}) {
    layer_norm_case(rows, 100, 0, rows);
    column_sums_case(rows, 100, 4, true, rows);
    if (rows > 0) batch_norm_case(rows, 100, 1, rows);
  }
}

TEST_CASE("layer norm of a row has mean 0 and variance 1") {
  Random random(4);
  const auto values = random.reals(100, -4, 9);
  const std::vector<double> gain(100, 1.0), offset(100, 0.0);
  std::vector<double> y(100);
  double mean = 0, rstd = 0;
  ref::layer_norm_forward(MatrixView<const double>(values.data(), 1, 100), gain.data(), offset.data(), 1e-12,
                          MatrixView<double>(y.data(), 1, 100), &mean, &rstd);
  double sum = 0, squares = 0;
  for (const double v : y) {
    sum += v;
    squares += v * v;
  }
  CHECK(std::abs(sum) < 1e-10);
  CHECK(std::abs(squares / 100 - 1) < 1e-10);
}

}  // namespace strata::testing
