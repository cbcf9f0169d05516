// --edge-features mean: the mean of the features of the edges at each node, as its features (ogbn-proteins has no
// others). Every edge of the table counts at its target, and at its source too where edges go both ways; self-loops and
// repeats as they stand there, as OGB's loader hands them out. Nodes without edges get zeros. Sums are in double, in
// the table's order.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "storage/import/npy_arrays.hpp"
#include "storage/import/source.hpp"

namespace strata {

class EdgeFeatureMeans {
 public:
  EdgeFeatureMeans(MemoryBudget& budget, std::uint64_t nodes, std::uint64_t columns);
  [[nodiscard]] static std::uint64_t bytes(std::uint64_t nodes, std::uint64_t columns);
  void add(NodeId node, std::span<const float> row);
  void read(MemoryBudget& budget, const GraphSource::RowSink& sink) const;

 private:
  std::size_t columns_;
  Array<double> sums_;  // nodes x columns
  Array<std::uint64_t> counts_;
};

// `next` fills in the features of the table's next edge. The means are charged to `held`, what reading takes to
// `scratch`.
[[nodiscard]] EdgeFeatureMeans average_edge_features(GraphSource& source, bool both_ways, MemoryBudget& held,
                                                     MemoryBudget& scratch,
                                                     const std::function<void(std::span<float> row)>& next);

// The same from an array (E, columns).
[[nodiscard]] std::uint64_t edge_feature_columns(const ArraySet& arrays, const std::string& key, std::uint64_t edges);
[[nodiscard]] EdgeFeatureMeans average_edge_array(GraphSource& source, bool both_ways, const ArraySet& arrays,
                                                  const std::string& key, bool zero_nan, MemoryBudget& held,
                                                  MemoryBudget& scratch);

// Values that are not finite become 0, or fail.
void require_finite(std::span<float> row, bool zero_nan, const std::function<void(const std::string& what)>& fail);
// UsageError unless the set has edge features and no node features.
void require_edge_features(const SourceFacts& facts, bool found);
inline constexpr const char* kMeansHint = " (--edge-features mean takes their means as node features)";

}  // namespace strata
