#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/differential.hpp"
#include "tests/support/finite_difference.hpp"
#include "tests/support/random.hpp"

namespace strata::testing {
namespace {

std::string text(std::size_t rows, std::size_t cols, std::size_t padding) {
  return "rows " + std::to_string(rows) + ", cols " + std::to_string(cols) + " + " + std::to_string(padding);
}

// Among the rows: zeros, and one so short that it is not scaled to length 1.
void row_l2_case(std::size_t rows, std::size_t cols, std::size_t padding, std::uint64_t seed) {
  Random random(seed);
  auto x_values = random.reals(rows * cols, -2, 3);
  for (std::size_t c = 0; c < cols && rows > 2; ++c) {
    x_values[cols + c] = 0;
    x_values[2 * cols + c] *= 1e-9;
  }
  Case forward("row_l2_forward", text(rows, cols, padding), seed);
  {
    const auto x = forward.input(x_values, rows, cols, cols + padding);
    const auto y = forward.output(rows, cols, cols + padding);
    const auto inverse = forward.in_out(std::vector<double>(rows, 7.0));
    forward.exact();
    forward.run([=](auto body, auto& a) { body.row_l2_forward(a.in(x), a.out(y), a.reals(inverse)); });
  }
  Case backward("row_l2_backward", text(rows, cols, padding), seed);
  auto inverse_values = random.reals(rows, 0.5, 2);
  if (rows > 2) inverse_values[2] = kRowL2Most;
  const auto y = backward.input(random.reals(rows * cols), rows, cols, cols + padding);
  const auto inverse = backward.input(inverse_values);
  const auto dy = backward.input(random.reals(rows * cols), rows, cols, cols + padding);
  const auto dx = backward.output(rows, cols, cols + padding);
  backward.exact();
  backward.run([=](auto body, auto& a) {
    using T = typename std::remove_reference_t<decltype(a)>::Real;
    const T* factors = a.reals(inverse);
    body.row_l2_backward(a.in(y), factors, a.in(dy), a.out(dx));
  });
}

using Vector = std::vector<double>;

constexpr std::size_t kRows = 3, kCols = 7;

Vector normalised(const Vector& x, Vector& inverse) {
  Vector y(x.size());
  inverse.resize(kRows);
  ref::row_l2_forward(MatrixView<const double>(x.data(), kRows, kCols), MatrixView<double>(y.data(), kRows, kCols),
                      inverse.data());
  return y;
}

}  // namespace

TEST_CASE("rows of length 1 at every edge length") {
  for (const std::size_t cols : edge_lengths()) {
    if (cols > 0) row_l2_case(5, cols, cols % 3, cols);
  }
  for (const std::size_t rows : {0, 1, 1023, 1024, 1025}) row_l2_case(rows, 100, 4, rows);
}

TEST_CASE("rows have length 1, rows of zeros stay so, and in place is the same") {
  Random random(5);
  Vector x = random.reals(kRows * kCols, -1, 4), inverse;
  std::fill_n(x.begin() + kCols, kCols, 0.0);
  const Vector y = normalised(x, inverse);
  for (const std::size_t i : {0, 2}) {
    double square = 0;
    for (std::size_t c = 0; c < kCols; ++c) square += y[i * kCols + c] * y[i * kCols + c];
    CHECK(std::abs(square - 1) < 1e-12);
  }
  for (std::size_t c = 0; c < kCols; ++c) CHECK(y[kCols + c] == 0);
  CHECK(inverse[1] == kRowL2Most);
  ref::row_l2_forward(MatrixView<const double>(x.data(), kRows, kCols), MatrixView<double>(x.data(), kRows, kCols),
                      inverse.data());
  CHECK(x == y);
}

TEST_CASE("gradient of rows of length 1, and of those too short for it") {
  Random random(6);
  for (const double size : {1.0, 1e-8}) {
    Vector x = random.reals(kRows * kCols, -1, 2), inverse;
    const Vector dy = random.reals(kRows * kCols);
    for (double& v : x) v *= size;
    const Vector y = normalised(x, inverse);
    Vector dx(dy);
    ref::row_l2_backward(MatrixView<const double>(y.data(), kRows, kCols), inverse.data(),
                         MatrixView<const double>(dx.data(), kRows, kCols),
                         MatrixView<double>(dx.data(), kRows, kCols));
    // The step of the differences is for numbers near 1: the function takes x / size.
    Vector at(x), scaled(dx);
    for (double& v : at) v /= size;
    for (double& v : scaled) v *= size;
    const auto loss = [&](const Vector& v) {
      Vector moved(v), ignored;
      for (double& m : moved) m *= size;
      return dot(normalised(moved, ignored), dy);
    };
    CHECK(gradient_error(loss, at, scaled) < 1e-6);
  }
}

}  // namespace strata::testing
