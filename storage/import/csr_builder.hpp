// From spooled edges to sorted rows: a counting sort by row (degrees are known from the reading), then each row sorted
// by itself and its repeats removed. Rows are built range by range, so memory bounds the size of a range, not of the
// graph. The result does not depend on the ranges, the number of threads, or where the spool is.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/base/budget.hpp"
#include "storage/import/edge_spool.hpp"
#include "storage/store.hpp"

namespace strata {

// Which rows an edge (source, target) lands in.
enum class Rows : std::uint8_t {
  by_target,  // in-edges: row = target, column = source
  by_source,  // out-edges
  both,       // the symmetric graph: once each way (a self-loop twice, as OGB's loader does)
};

struct CsrRequest {
  Rows rows = Rows::by_target;
  NodeId first = 0;  // new ids
  NodeId count = 0;
  bool keep_duplicates = false;
  bool skip_self_loops = false;
  std::span<const std::uint64_t> only{};  // original nodes as bits: edges between them alone; empty: all
};

[[nodiscard]] inline bool joins(std::span<const std::uint64_t> nodes, const EdgePair& edge) {
  const auto has = [nodes](NodeId id) { return (nodes[id / 64] >> (id % 64) & 1) != 0; };
  return nodes.empty() || (has(edge.source) && has(edge.target));
}

// Rows [first, first + count) in new ids; columns are new ids, ascending within a row.
struct CsrRange {
  NodeId first = 0;
  Array<EdgeId> offsets;  // count + 1, from 0
  Array<NodeId> columns;  // offsets[count] used; as allocated before repeats were removed
  Array<float> weights;   // like columns; empty when unweighted
  std::uint64_t duplicates = 0;

  [[nodiscard]] NodeId count() const { return static_cast<NodeId>(offsets.size() - 1); }
  [[nodiscard]] std::uint64_t edges() const { return offsets[offsets.size() - 1]; }
};

// new_of[original] and original_of[new] may both be empty: the identity. raw_degrees[original]: entries of the row
// before repeats are removed (of those that request.only leaves). Of repeated weighted edges the first in source order
// stays.
[[nodiscard]] CsrRange build_csr(const EdgeSpool& spool, const CsrRequest& request, std::span<const NodeId> new_of,
                                 std::span<const NodeId> original_of, std::span<const std::uint32_t> raw_degrees,
                                 MemoryBudget& budget);
// What build_csr takes of the budget.
[[nodiscard]] std::uint64_t csr_bytes(std::uint64_t rows, std::uint64_t entries, bool weighted);

}  // namespace strata
