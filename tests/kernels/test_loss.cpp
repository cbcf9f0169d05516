#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/differential.hpp"
#include "tests/support/random.hpp"

namespace strata::testing {
namespace {

void softmax_case(std::size_t rows, std::size_t cols, std::size_t padding, double range, std::uint64_t seed) {
  Random random(seed);
  Case c("softmax_cross_entropy", "rows " + std::to_string(rows) + ", cols " + std::to_string(cols), seed);
  std::vector<std::int32_t> label_values(rows);
  for (std::int32_t& l : label_values) {
    l = random.chance(0.3) ? kUnlabelled : static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(cols)));
  }
  const auto values = random.reals(rows * cols, -range, range);
  const auto z = c.input(values, rows, cols, cols + padding);
  const auto labels = c.raw(label_values);
  const auto dz = c.output(rows, cols, cols + padding);
  const auto in_place = c.in_out(values, rows, cols, cols + padding);
  c.tolerance(16);
  c.magnitude_at_least(0.5);
  c.run([=](auto body, auto& a) {
    using T = typename std::remove_reference_t<decltype(a)>::Real;
    const auto* label = a.template raw<const std::int32_t>(labels);
    const T scale{0.5};
    a.scalar(0) = body.softmax_cross_entropy(a.in(z), label, scale, a.out(dz));
    a.scalar(1) = body.softmax_cross_entropy(a.in(z), label, scale, MatrixView<T>());
    body.softmax_cross_entropy(MatrixView<const T>(a.out(in_place)), label, scale, a.out(in_place));
  });
}

void sigmoid_case(std::size_t rows, std::size_t cols, std::size_t padding, double range, std::uint64_t seed) {
  Random random(seed);
  Case c("sigmoid_cross_entropy", "rows " + std::to_string(rows) + ", cols " + std::to_string(cols), seed);
  const std::size_t target_stride = divide_up(cols, 8) + padding;
  std::vector<std::uint8_t> labelled_values(rows);
  for (std::uint8_t& l : labelled_values) l = random.chance(0.7) ? 1 : 0;
  const auto values = random.reals(rows * cols, -range, range);
  const auto z = c.input(values, rows, cols, cols + padding);
  const auto targets = c.raw(random.integers<std::uint8_t>(rows * target_stride, 256));
  const auto labelled = c.raw(labelled_values);
  const auto dz = c.output(rows, cols, cols + padding);
  c.tolerance(16);
  c.magnitude_at_least(0.5);
  c.run([=](auto body, auto& a) {
    using T = typename std::remove_reference_t<decltype(a)>::Real;
    const auto* target = a.template raw<const std::uint8_t>(targets);
    const auto* flags = a.template raw<const std::uint8_t>(labelled);
    const T scale{0.5};
    a.scalar(0) = body.sigmoid_cross_entropy(a.in(z), target, target_stride, flags, scale, a.out(dz));
    a.scalar(1) = body.sigmoid_cross_entropy(a.in(z), target, target_stride, flags, scale, MatrixView<T>());
  });
}

}  // namespace

TEST_CASE("losses at every edge length") {
  for (const std::size_t cols : edge_lengths()) {
    if (cols > 0) softmax_case(9, cols, cols % 3, 3, cols);
    sigmoid_case(9, cols, cols % 3, 3, cols);
  }
  softmax_case(1025, 47, 0, 5, 300);
  softmax_case(20, 41, 0, 500, 301);  // where e^z overflows
  softmax_case(0, 41, 0, 1, 302);
  sigmoid_case(1025, 112, 0, 5, 303);
  sigmoid_case(20, 12, 0, 500, 304);
}

TEST_CASE("cross entropies by hand") {
  const std::vector<float> logits = {0, std::log(3.0f), 0, 0};
  const std::int32_t labels[] = {1, kUnlabelled};
  std::vector<float> gradient(4, 9.0f);
  const double loss = cpu::softmax_cross_entropy(MatrixView<const float>(logits.data(), 2, 2), labels, 2.0f,
                                                 MatrixView<float>(gradient.data(), 2, 2));
  CHECK(std::abs(loss + std::log(0.75)) < 1e-6);
  CHECK(std::abs(gradient[0] - 0.5f) < 1e-6f);
  CHECK(std::abs(gradient[1] + 0.5f) < 1e-6f);
  CHECK(gradient[2] == 0);
  CHECK(gradient[3] == 0);
  const std::uint8_t targets[] = {0b10, 0b01};
  const std::uint8_t labelled[] = {1, 0};
  const double sigmoid = cpu::sigmoid_cross_entropy(MatrixView<const float>(logits.data(), 2, 2), targets, 1, labelled,
                                                    1.0f, MatrixView<float>(gradient.data(), 2, 2));
  CHECK(std::abs(sigmoid - (std::log(2.0) - std::log(0.75))) < 1e-6);
  CHECK(std::abs(gradient[0] - 0.5f) < 1e-6f);
  CHECK(std::abs(gradient[1] + 0.25f) < 1e-6f);
  CHECK(gradient[2] == 0);
}

}  // namespace strata::testing
