#include "storage/import/node_order.hpp"

#include <metis.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "kernels/base/error.hpp"
#include "kernels/base/rng.hpp"

namespace strata {
namespace {

static_assert(sizeof(idx_t) == sizeof(NodeId), "METIS is expected with 32-bit indices");

// Parts of the nodes by METIS_PartGraphKway; one part when there is nothing to cut.
Array<idx_t> cut_into_parts(const CsrRange& graph, std::uint64_t parts, std::uint64_t seed, MemoryBudget& budget) {
  const NodeId nodes = graph.count();
  Array<idx_t> part(budget, nodes, "parts");
  if (parts < 2 || nodes < 2 * parts || graph.edges() == 0) return part;
  const Reservation charge =
      budget.reserve(metis_bytes(nodes, graph.edges()), "METIS (--partitioner none or random needs none)");
  Array<idx_t> offsets(budget, std::size_t{nodes} + 1, "METIS row offsets");
  std::copy(graph.offsets.begin(), graph.offsets.end(), offsets.begin());
  idx_t options[METIS_NOPTIONS];
  METIS_SetDefaultOptions(options);
  options[METIS_OPTION_NUMBERING] = 0;
  options[METIS_OPTION_SEED] = static_cast<idx_t>(seed & 0x7fffffff);
  idx_t vertices = static_cast<idx_t>(nodes), constraints = 1, wanted = static_cast<idx_t>(parts), cut = 0;
  const int status =
      METIS_PartGraphKway(&vertices, &constraints, offsets.data(), reinterpret_cast<idx_t*>(graph.columns.data()),
                          nullptr, nullptr, nullptr, &wanted, nullptr, nullptr, options, &cut, part.data());
  if (status == METIS_ERROR_MEMORY) throw ResourceError("METIS ran out of memory: use --partitioner none or random");
  STRATA_ASSERT(status == METIS_OK);
  return part;
}

// Breadth-first within each part: `out` doubles as the queue.
void order_by_parts(const CsrRange& graph, std::span<const idx_t> part, std::uint64_t parts, MemoryBudget& budget,
                    NodeOrder& order) {
  const NodeId nodes = graph.count();
  std::vector<NodeId> begin(parts + 1, 0);
  for (const idx_t p : part) ++begin[static_cast<std::size_t>(p) + 1];
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  std::vector<NodeId> end(begin.begin(), begin.end() - 1);  // of each part's queue
  std::vector<NodeId> head = end;
  const Array<std::uint8_t> seen(budget, nodes, "visited nodes");
  const auto push = [&](NodeId node) {
    seen[node] = 1;
    order.original_of[end[static_cast<std::size_t>(part[node])]++] = node;
  };
  for (NodeId start = 0; start < nodes; ++start) {
    if (seen[start]) continue;
    push(start);
    const auto p = static_cast<std::size_t>(part[start]);
    while (head[p] != end[p]) {
      const NodeId node = order.original_of[head[p]++];
      for (EdgeId e = graph.offsets[node]; e < graph.offsets[node + 1]; ++e) {
        const NodeId next = graph.columns[e];
        if (part[next] != part[node]) {
          ++order.cut;
        } else if (!seen[next]) {
          push(next);
        }
      }
    }
  }
}

void invert(NodeOrder& order) {
  for (NodeId n = 0; n < order.original_of.size(); ++n) order.new_of[order.original_of[n]] = n;
}

}  // namespace

std::uint64_t metis_bytes(std::uint64_t nodes, std::uint64_t entries) { return 50 * entries + 100 * nodes; }

bool metis_can_index(std::uint64_t nodes, std::uint64_t entries) {
  constexpr auto kLargest = static_cast<std::uint64_t>(std::numeric_limits<idx_t>::max());
  return nodes < kLargest && entries < kLargest;
}

NodeOrder metis_order(CsrRange graph, std::uint64_t parts, std::uint64_t seed, MemoryBudget& budget) {
  const NodeId nodes = graph.count();
  NodeOrder order;
  order.parts = parts;
  order.original_of = Array<NodeId>(budget, nodes, "node order");
  {
    const Array<idx_t> part = cut_into_parts(graph, parts, seed, budget);
    order_by_parts(graph, part.span(), parts, budget, order);
  }
  graph = CsrRange();
  order.new_of = Array<NodeId>(budget, nodes, "node order");
  invert(order);
  return order;
}

NodeOrder random_order(NodeId nodes, std::uint64_t seed, MemoryBudget& budget) {
  NodeOrder order;
  order.original_of = Array<NodeId>(budget, nodes, "node order");
  order.new_of = Array<NodeId>(budget, nodes, "node order");
  std::iota(order.original_of.begin(), order.original_of.end(), NodeId{0});
  CounterRng rng(seed, Stream::visit_order);
  for (NodeId n = nodes; n > 1; --n) std::swap(order.original_of[n - 1], order.original_of[rng.below(n)]);
  invert(order);
  return order;
}

}  // namespace strata
