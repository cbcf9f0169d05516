#include <doctest/doctest.h>

#include "tests/support/differential.hpp"
#include "tests/support/random.hpp"

namespace strata::testing {
namespace {

constexpr Activation kActivations[] = {Activation::none, Activation::relu, Activation::leaky_relu, Activation::elu,
                                       Activation::gelu, Activation::tanh, Activation::sigmoid};

void activation_case(Activation f, std::size_t rows, std::size_t cols, std::size_t padding, double range,
                     std::uint64_t seed) {
  Random random(seed);
  auto values = random.reals(rows * cols, -range, range);
  for (std::size_t i = 0; i < values.size(); i += 11) values[i] = 0;
  const std::string what = std::string(activation_name(f)) + ", rows " + std::to_string(rows) + ", cols " +
                           std::to_string(cols) + ", |z| <= " + std::to_string(range);
  Case forward("activation_forward", what, seed);
  {
    const auto z = forward.input(values, rows, cols, cols + padding);
    const auto y = forward.output(rows, cols, cols + padding);
    const auto in_place = forward.in_out(values, rows, cols, cols + padding);
    forward.tolerance(8);
    forward.magnitude_at_least(1);
    forward.run([=](auto body, auto& a) {
      using T = typename std::remove_reference_t<decltype(a)>::Real;
      body.activation_forward(f, a.in(z), a.out(y));
      body.activation_forward(f, MatrixView<const T>(a.out(in_place)), a.out(in_place));
    });
  }
  Case backward("activation_backward", what, seed);
  const auto z = backward.input(values, rows, cols, cols + padding);
  const auto dy = backward.input(random.reals(rows * cols), rows, cols, cols + padding);
  const auto dz = backward.output(rows, cols, cols + padding);
  const auto in_place = backward.in_out(random.reals(rows * cols), rows, cols, cols + padding);
  backward.tolerance(8);
  backward.magnitude_at_least(1);
  backward.run([=](auto body, auto& a) {
    using T = typename std::remove_reference_t<decltype(a)>::Real;
    body.activation_backward(f, a.in(z), a.in(dy), a.out(dz));
    body.activation_backward(f, a.in(z), MatrixView<const T>(a.out(in_place)), a.out(in_place));
  });
}

}  // namespace

TEST_CASE("activations and their derivatives at every edge length") {
  for (const Activation f : kActivations) {
    for (const std::size_t cols : edge_lengths()) activation_case(f, 3, cols, cols % 4, 6, cols);
    activation_case(f, 1025, 33, 0, 6, 900);
    activation_case(f, 7, 64, 0, 0.01, 901);
    activation_case(f, 7, 64, 0, 200, 902);  // where exponentials overflow
  }
}

TEST_CASE("activation names") {
  for (const Activation f : kActivations) {
    Activation parsed{};
    CHECK(parse_activation(activation_name(f), parsed));
    CHECK(parsed == f);
  }
  Activation untouched = Activation::elu;
  CHECK_FALSE(parse_activation("swish", untouched));
  CHECK(untouched == Activation::elu);
}

}  // namespace strata::testing
