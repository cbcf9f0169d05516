// The store's node numbering: neighbours near each other. Nodes are ordered by part (METIS k-way), within a part by
// breadth-first search from the lowest original id; or at random; or not at all.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "kernels/base/budget.hpp"
#include "storage/import/csr_builder.hpp"
#include "storage/import/options.hpp"

namespace strata {

struct NodeOrder {
  Array<NodeId> original_of;  // [new] -> original; both empty: the identity
  Array<NodeId> new_of;       // [original] -> new
  std::uint64_t parts = 0;    // METIS
  std::uint64_t cut = 0;      // entries of the symmetric graph that join two parts

  [[nodiscard]] bool is_identity() const { return original_of.empty(); }
};

// `graph`: the symmetric graph over all nodes in original numbering, without self-loops and repeats. The same seed
// gives the same order. ResourceError when METIS cannot have its memory.
[[nodiscard]] NodeOrder metis_order(CsrRange graph, std::uint64_t parts, std::uint64_t seed, MemoryBudget& budget);
[[nodiscard]] NodeOrder random_order(NodeId nodes, std::uint64_t seed, MemoryBudget& budget);

// METIS's own memory for a symmetric graph of `entries` directed entries; the graph itself is extra. Block models of
// 100,000 to 1,000,000 nodes took 29 to 50 bytes per entry and up to 100 per node (METIS 5.1, k-way).
[[nodiscard]] std::uint64_t metis_bytes(std::uint64_t nodes, std::uint64_t entries);
// METIS here counts entries in 32 bits.
[[nodiscard]] bool metis_can_index(std::uint64_t nodes, std::uint64_t entries);

}  // namespace strata
