#include "bench/graph.hpp"

#include <tbb/parallel_for.h>

#include <algorithm>

#include "kernels/base/rng.hpp"

namespace strata::bench {

namespace {
constexpr std::uint32_t kNeighbourhood = 8192;  // rows
}

TimingGraph make_timing_graph(std::size_t rows, std::size_t degree, double local, std::uint64_t seed,
                              MemoryBudget& budget) {
  TimingGraph graph{{budget, rows + 1, "timing graph offsets"}, {budget, rows * degree, "timing graph columns"}, rows};
  const auto n = static_cast<std::uint32_t>(rows);
  const std::uint32_t window = std::min(n, kNeighbourhood);
  tbb::parallel_for(std::size_t{0}, rows, [&](std::size_t row) {
    CounterRng rng(seed, Stream::synthetic, static_cast<std::uint32_t>(row));
    const auto centre = static_cast<std::uint32_t>(row);
    const std::uint32_t first = std::min(centre - std::min(centre, window / 2), n - window);
    std::uint32_t* const out = graph.columns.data() + row * degree;
    for (std::size_t k = 0; k < degree; ++k) {
      out[k] = rng.uniform() < local ? first + rng.below(window) : rng.below(n);
    }
    std::sort(out, out + degree);
    graph.offsets[row + 1] = (row + 1) * degree;
  });
  return graph;
}

}  // namespace strata::bench
