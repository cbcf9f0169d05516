// Graphs for timing: every node has the same number of in-edges, from anywhere or mostly from nearby.
#pragma once

#include <cstdint>

#include "kernels/base/budget.hpp"
#include "kernels/spmm.hpp"

namespace strata::bench {

struct TimingGraph {
  Array<EdgeId> offsets;         // rows + 1
  Array<std::uint32_t> columns;  // ascending within a row
  std::size_t rows = 0;

  [[nodiscard]] SparseRows tile(std::size_t first, std::size_t count) const {
    return {count, static_cast<NodeId>(first), offsets.data() + first, columns.data(), nullptr, nullptr};
  }
};

// `local`: the share of edges whose source is drawn from the 8,192 rows around the destination; the rest come from
// anywhere, all uniform. A pure function of its arguments.
[[nodiscard]] TimingGraph make_timing_graph(std::size_t rows, std::size_t degree, double local, std::uint64_t seed,
                                            MemoryBudget& budget);

}  // namespace strata::bench
