#include <doctest/doctest.h>

#include <cmath>
#include <thread>

#include "tests/support/differential.hpp"
#include "tests/support/random.hpp"

namespace strata::testing {
namespace {

struct Shape {
  std::size_t m, in, out, padding;
};

std::string text(const Shape& s, bool accumulate) {
  return std::to_string(s.m) + " x " + std::to_string(s.in) + " -> " + std::to_string(s.out) + " + " +
         std::to_string(s.padding) + (accumulate ? ", accumulate" : "");
}

// Rounding grows like the square root of the length for random terms; the terms are at most 1.
void set_tolerance(Case& c, std::size_t length) {
  c.tolerance(8 + 2 * std::sqrt(static_cast<double>(length)));
  c.magnitude_at_least(static_cast<float>(std::sqrt(static_cast<double>(length)) + 1));
}

void forward_case(const Shape& s, bool accumulate, bool bias, std::uint64_t seed) {
  Random random(seed);
  Case c("linear_forward", text(s, accumulate), seed);
  const auto x = c.input(random.reals(s.m * s.in), s.m, s.in, s.in + s.padding);
  const auto w = c.input(random.reals(s.out * s.in), s.out, s.in, s.in + s.padding);
  const auto b = c.input(random.reals(bias ? s.out : 0));
  const auto y = c.in_out(random.reals(s.m * s.out), s.m, s.out, s.out + s.padding);
  set_tolerance(c, s.in);
  c.run([=](auto body, auto& a) {
    using T = typename std::remove_reference_t<decltype(a)>::Real;
    const T* bias_data = a.reals(b);
    body.linear_forward(a.in(x), a.in(w), bias_data, a.out(y), accumulate);
  });
}

void backward_cases(const Shape& s, bool accumulate, std::uint64_t seed) {
  Random random(seed);
  const auto dy_values = random.reals(s.m * s.out);
  const auto x_values = random.reals(s.m * s.in);
  Case input("linear_backward_input", text(s, accumulate), seed);
  {
    const auto dy = input.input(dy_values, s.m, s.out, s.out + s.padding);
    const auto w = input.input(random.reals(s.out * s.in), s.out, s.in, s.in + s.padding);
    const auto dx = input.in_out(random.reals(s.m * s.in), s.m, s.in, s.in + s.padding);
    set_tolerance(input, s.out);
    input.run([=](auto body, auto& a) { body.linear_backward_input(a.in(dy), a.in(w), a.out(dx), accumulate); });
  }
  Case weight("linear_backward_weight", text(s, accumulate), seed);
  {
    const auto dy = weight.input(dy_values, s.m, s.out, s.out + s.padding);
    const auto x = weight.input(x_values, s.m, s.in, s.in + s.padding);
    const auto dw = weight.in_out(random.reals(s.out * s.in), s.out, s.in, s.in + s.padding);
    set_tolerance(weight, s.m);
    weight.run([=](auto body, auto& a) { body.linear_backward_weight(a.in(dy), a.in(x), a.out(dw), accumulate); });
  }
  Case bias("linear_backward_bias", text(s, accumulate), seed);
  {
    const auto dy = bias.input(dy_values, s.m, s.out, s.out + s.padding);
    const auto db = bias.in_out(random.reals(s.out));
    bias.exact();  // one order of the rows everywhere
    bias.run([=](auto body, auto& a) { body.linear_backward_bias(a.in(dy), a.reals(db), accumulate); });
  }
}

std::vector<float> floats(Random& random, std::size_t count) {
  const auto values = random.reals(count);
  return {values.begin(), values.end()};
}

// y of a fixed product whose operands start `shift` floats into their allocations.
std::vector<float> product_at(std::size_t shift) {
  constexpr std::size_t kRows = 1024, kIn = 100, kOut = 47;
  Random random(3);
  std::vector<float> x(shift, 0), w(shift, 0), y(shift + kRows * kOut, 0);
  const auto xs = floats(random, kRows * kIn);
  const auto ws = floats(random, kOut * kIn);
  x.insert(x.end(), xs.begin(), xs.end());
  w.insert(w.end(), ws.begin(), ws.end());
  cpu::linear_forward<float>(MatrixView<const float>(x.data() + shift, kRows, kIn),
                             MatrixView<const float>(w.data() + shift, kOut, kIn), nullptr,
                             MatrixView<float>(y.data() + shift, kRows, kOut), false);
  return {y.begin() + static_cast<std::ptrdiff_t>(shift), y.end()};
}

}  // namespace

TEST_CASE("linear: every shape around the edges, with padding and accumulation") {
  const std::size_t lengths[] = {0, 1, 2, 15, 16, 17, 31, 33, 64};
  std::uint64_t seed = 1;
  for (const std::size_t m : lengths) {
    for (const std::size_t in : lengths) {
      for (const std::size_t out : {std::size_t{0}, std::size_t{1}, std::size_t{16}, std::size_t{33}}) {
        const Shape shape{m, in, out, seed % 3};
        const bool accumulate = seed % 2 == 0;
        forward_case(shape, accumulate, seed % 4 < 2, seed);
        backward_cases(shape, accumulate, seed);
        ++seed;
      }
    }
  }
}

TEST_CASE("linear: tiles of 1023 to 1025 rows") {
  for (const std::size_t m : {1023, 1024, 1025}) {
    forward_case({m, 100, 47, 0}, false, true, m);
    forward_case({m, 33, 1, 2}, true, true, m);
    backward_cases({m, 100, 47, 0}, false, m);
    backward_cases({m, 17, 130, 1}, true, m);
  }
}

TEST_CASE("linear: the bits depend neither on addresses nor on the calling thread") {
  const std::vector<float> expected = product_at(0);
  for (const std::size_t shift : {1, 3, 8, 16, 17}) CHECK(product_at(shift) == expected);
  std::vector<std::vector<float>> found(4);
  std::vector<std::thread> threads;
  for (auto& result : found) threads.emplace_back([&result] { result = product_at(0); });
  for (std::thread& t : threads) t.join();
  for (const auto& result : found) CHECK(result == expected);
}

}  // namespace strata::testing
