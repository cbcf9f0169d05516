#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/differential.hpp"
#include "tests/support/random.hpp"

namespace strata::testing {
namespace {

void optimizer_case(std::size_t n, const AdamOptions& options, std::uint64_t seed) {
  Random random(seed);
  const std::string what = "n " + std::to_string(n) + (options.tensorflow_epsilon ? ", TensorFlow's epsilon" : "");
  const auto weights = random.reals(n);
  const auto gradients = random.reals(n, -0.1, 0.1);
  Case adam("adam_step", what, seed);
  {
    const auto w = adam.in_out(weights);
    const auto g = adam.input(gradients);
    const auto m = adam.in_out(std::vector<double>(n, 0.0));
    const auto v = adam.in_out(std::vector<double>(n, 0.0));
    adam.exact();
    adam.run([=](auto body, auto& a) {
      for (std::uint64_t t = 1; t <= 5; ++t) {
        body.adam_step(options, t, n, a.reals(w), a.reals(g), a.reals(m), a.reals(v));
      }
    });
  }
  Case sgd("sgd_step", what, seed);
  const auto w = sgd.in_out(weights);
  const auto g = sgd.input(gradients);
  sgd.exact();
  sgd.run([=](auto body, auto& a) { body.sgd_step(0.1, options.weight_decay, n, a.reals(w), a.reals(g)); });
}

struct State {
  double w = 0.5, m = 0, v = 0;
  void step(const AdamOptions& o, std::uint64_t t, double g) { ref::adam_step(o, t, 1, &w, &g, &m, &v); }
};

}  // namespace

TEST_CASE("optimiser steps at every edge length") {
  for (const std::size_t n : edge_lengths()) {
    optimizer_case(n, {}, n);
    optimizer_case(n, {.lr = 1e-3, .beta1 = 0.8, .weight_decay = 5e-4, .tensorflow_epsilon = true}, 50 + n);
  }
  optimizer_case(1025, {.weight_decay = 0.1}, 99);
}

TEST_CASE("Adam's first steps, by hand") {
  // Kingma & Ba 2015 with the numbers written out: after one step m = 0.1 g, v = 0.001 g^2, both corrected to g and
  // g^2.
  const AdamOptions o{.lr = 0.01};
  State s;
  s.step(o, 1, 0.3);
  CHECK(std::abs(s.w - (0.5 - 0.01 * 0.3 / (0.3 + 1e-8))) < 1e-15);
  s.step(o, 2, -0.2);
  const double m = (0.9 * 0.1 * 0.3 + 0.1 * -0.2) / (1 - 0.81);
  const double v = (0.999 * 0.001 * 0.09 + 0.001 * 0.04) / (1 - 0.999 * 0.999);
  CHECK(std::abs(s.w - (0.5 - 0.01 * 0.3 / (0.3 + 1e-8) - 0.01 * m / (std::sqrt(v) + 1e-8))) < 1e-15);
}

TEST_CASE("TensorFlow's epsilon is 32 times larger in the first step") {
  // lr sqrt(1 - beta2) / (1 - beta1) m / (sqrt(v) + eps) = lr g / (|g| + eps / sqrt(1 - beta2)).
  const double g = 1e-7;
  State tensorflow, pytorch;
  tensorflow.step({.lr = 0.01, .tensorflow_epsilon = true}, 1, g);
  pytorch.step({.lr = 0.01, .eps = 1e-8 / std::sqrt(0.001)}, 1, g);
  CHECK(std::abs(tensorflow.w - pytorch.w) < 1e-15);
}

TEST_CASE("weight decay is part of the gradient") {
  const AdamOptions decayed{.lr = 0.01, .weight_decay = 0.1};
  State with, without;
  with.step(decayed, 1, 0.3);
  without.step({.lr = 0.01}, 1, 0.3 + 0.1 * 0.5);
  CHECK(with.w == without.w);
}

}  // namespace strata::testing
