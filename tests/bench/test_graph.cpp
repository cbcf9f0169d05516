#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "bench/graph.hpp"

using namespace strata;

TEST_CASE("timing graphs have the asked degree, ascending columns in range, and the asked share of near edges") {
  MemoryBudget budget(64 << 20);
  for (const std::size_t rows : {std::size_t{1}, std::size_t{7}, std::size_t{8192}, std::size_t{60000}}) {
    CAPTURE(rows);
    const auto graph = bench::make_timing_graph(rows, 5, 0.7, 3, budget);
    std::size_t near = 0;
    bool ascending = true, in_range = true;
    for (std::size_t r = 0; r < rows; ++r) {
      CHECK_EQ(graph.offsets[r + 1] - graph.offsets[r], 5);
      const std::uint32_t* columns = graph.columns.data() + graph.offsets[r];
      ascending = ascending && std::is_sorted(columns, columns + 5);
      for (int k = 0; k < 5; ++k) {
        in_range = in_range && columns[k] < rows;
        near += std::abs(static_cast<long>(columns[k]) - static_cast<long>(r)) <= 8192;
      }
    }
    CHECK(ascending);
    CHECK(in_range);
    if (rows == 60000) {  // 0.7 + 0.3 * (about 16384 / 60000 of the rest)
      CHECK(static_cast<double>(near) / static_cast<double>(5 * rows) == doctest::Approx(0.775).epsilon(0.03));
    }
  }
}

TEST_CASE("a timing graph is a function of its seed") {
  MemoryBudget budget(16 << 20);
  const auto a = bench::make_timing_graph(1000, 5, 0.5, 3, budget);
  const auto b = bench::make_timing_graph(1000, 5, 0.5, 3, budget);
  const auto c = bench::make_timing_graph(1000, 5, 0.5, 4, budget);
  CHECK(std::equal(a.columns.begin(), a.columns.end(), b.columns.begin()));
  CHECK_FALSE(std::equal(a.columns.begin(), a.columns.end(), c.columns.begin()));
}
