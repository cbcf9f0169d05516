#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/differential.hpp"
#include "tests/support/random.hpp"

namespace strata::testing {
namespace {

void dropout_case(double p, std::size_t rows, std::size_t cols, std::size_t padding, std::uint64_t seed) {
  Random random(seed);
  const DropoutKey key{seed * 0x9E3779B97F4A7C15ull, random.below(1000), random.below(8)};
  Case c("dropout", "p " + std::to_string(p) + ", rows " + std::to_string(rows) + ", cols " + std::to_string(cols),
         seed);
  const auto ids = c.raw(random.integers<NodeId>(rows, 0xFFFFFFFFu));
  const auto x = c.input(random.reals(rows * cols), rows, cols, cols + padding);
  const auto y = c.output(rows, cols, cols + padding);
  const auto in_place = c.in_out(random.reals(rows * cols), rows, cols, cols + padding);
  c.exact();
  c.run([=](auto body, auto& a) {
    using T = typename std::remove_reference_t<decltype(a)>::Real;
    const NodeId* id = a.template raw<const NodeId>(ids);
    body.dropout(p, key, id, a.in(x), a.out(y));
    body.dropout(p, key, id, MatrixView<const T>(a.out(in_place)), a.out(in_place));
  });
}

}  // namespace

TEST_CASE("dropout gives the same bits in every body") {
  for (const std::size_t cols : edge_lengths()) {
    dropout_case(0.5, 9, cols, 0, 10 + cols);
    dropout_case(0.1, 3, cols, 5, 200 + cols);
  }
  for (const double p : {0.0, 1e-6, 0.3, 0.7, 0.99, 0.999999}) dropout_case(p, 4, 70, 1, 3);
  dropout_case(0.5, 1025, 47, 0, 4);
  dropout_case(0.5, 0, 47, 0, 5);
}

TEST_CASE("a mask belongs to its node and column, whatever the tile or the width") {
  const DropoutKey key{42, 7, 1};
  const std::vector<float> ones(300, 1.0f);
  const std::vector<NodeId> ids = {11, 12, 13};
  std::vector<float> together(300), alone(100), narrow(40);
  cpu::dropout(0.5, key, ids.data(), MatrixView<const float>(ones.data(), 3, 100),
               MatrixView<float>(together.data(), 3, 100));
  cpu::dropout(0.5, key, &ids[1], MatrixView<const float>(ones.data(), 1, 100),
               MatrixView<float>(alone.data(), 1, 100));
  cpu::dropout(0.5, key, &ids[1], MatrixView<const float>(ones.data(), 1, 40), MatrixView<float>(narrow.data(), 1, 40));
  CHECK(std::equal(alone.begin(), alone.end(), together.begin() + 100));
  CHECK(std::equal(narrow.begin(), narrow.end(), alone.begin()));
}

TEST_CASE("the mean is kept, and steps, layers and seeds differ") {
  constexpr std::size_t kRows = 1000, kCols = 128;
  const std::vector<float> ones(kRows * kCols, 1.0f);
  std::vector<NodeId> ids(kRows);
  for (std::size_t i = 0; i < kRows; ++i) ids[i] = static_cast<NodeId>(i);
  const auto masked = [&](const DropoutKey& key) {
    std::vector<float> y(ones.size());
    cpu::dropout(0.3, key, ids.data(), MatrixView<const float>(ones.data(), kRows, kCols),
                 MatrixView<float>(y.data(), kRows, kCols));
    return y;
  };
  const std::vector<float> base = masked({1, 2, 3});
  double sum = 0;
  for (const float v : base) sum += v;
  // The mean's standard deviation is sqrt(p / (1 - p) / n) = 0.0018; five of them.
  CHECK(std::abs(sum / static_cast<double>(base.size()) - 1) < 0.0092);
  for (const DropoutKey& other : {DropoutKey{2, 2, 3}, DropoutKey{1, 3, 3}, DropoutKey{1, 2, 4}}) {
    const std::vector<float> y = masked(other);
    std::size_t same = 0;
    for (std::size_t i = 0; i < y.size(); ++i) same += y[i] == base[i] ? 1 : 0;
    // Independent masks agree with probability 0.7^2 + 0.3^2 = 0.58.
    CHECK(std::abs(static_cast<double>(same) / static_cast<double>(y.size()) - 0.58) < 0.01);
  }
}

}  // namespace strata::testing
