#include <doctest/doctest.h>

#include "tests/support/differential.hpp"
#include "tests/support/random.hpp"

namespace strata::testing {
namespace {

void gather_case(std::size_t rows, std::size_t count, std::size_t cols, std::size_t padding, std::uint64_t seed) {
  Random random(seed);
  const std::string what = std::to_string(count) + " of " + std::to_string(rows) + " rows, cols " +
                           std::to_string(cols) + " + " + std::to_string(padding);
  const auto ids = random.integers<NodeId>(count, static_cast<std::uint32_t>(rows));
  Case gather("gather_rows", what, seed);
  const auto x = gather.input(random.reals(rows * cols), rows, cols, cols + padding);
  const auto gather_ids = gather.raw(ids);
  const auto out = gather.output(count, cols, cols + padding / 2);
  gather.exact();
  gather.run([=](auto body, auto& a) { body.gather_rows(a.in(x), a.template span<NodeId>(gather_ids), a.out(out)); });

  // Ids repeat, so the order of the additions shows in the bits.
  Case scatter("scatter_add_rows", what, seed);
  const auto from = scatter.input(random.reals(count * cols), count, cols, cols + padding);
  const auto scatter_ids = scatter.raw(ids);
  const auto sums = scatter.in_out(random.reals(rows * cols), rows, cols, cols + padding);
  scatter.exact();
  scatter.run([=](auto body, auto& a) {
    body.scatter_add_rows(a.in(from), a.template span<NodeId>(scatter_ids), a.out(sums));
  });
}

}  // namespace

TEST_CASE("gather and scatter rows at every edge length") {
  for (const std::size_t cols : edge_lengths()) {
    gather_case(50, 33, cols, 0, cols);
    gather_case(5, 1025, cols, 3, 100 + cols);
  }
  gather_case(3, 0, 16, 0, 7);
  gather_case(1, 1023, 31, 1, 8);
}

}  // namespace strata::testing
