// The graph as the engine sees it: shards opened within the budget, and the normalisation scales that come from
// degrees.
#pragma once

#include <atomic>
#include <functional>
#include <vector>

#include "kernels/spmm.hpp"
#include "storage/store.hpp"

namespace strata {

template <class T>
class Graph {
 public:
  // aggregation none: no scales are computed (the graph is not used). The store must outlive the graph.
  Graph(const Store& store, Aggregation aggregation, MemoryBudget& budget);

  // Scales of A, or of its transpose (to be run over the reversed graph with the forward's values; methods.md 1.1).
  [[nodiscard]] EdgeScale<T> scale(bool transposed) const;

  // Keep every shard open from now on (the graph fits the budget beside everything else).
  void make_resident();
  [[nodiscard]] bool resident() const { return resident_; }
  [[nodiscard]] std::size_t shard_count(bool transposed) const { return infos(transposed).size(); }
  // The open shards of a resident graph.
  [[nodiscard]] const std::vector<Shard>& open_shards(bool transposed) const;
  // Opens one shard of a graph that is not resident. spares: as in Shard.
  [[nodiscard]] Shard open_shard(bool transposed, std::size_t index, SpareMemory* spares = nullptr) const;

  [[nodiscard]] const std::vector<ShardInfo>& infos(bool transposed) const;
  [[nodiscard]] std::uint64_t edges(bool transposed) const;
  [[nodiscard]] std::uint64_t file_bytes(bool transposed) const;
  // Of shards opened by open_shard, so far. Thread-safe.
  [[nodiscard]] std::uint64_t bytes_read() const { return bytes_read_; }

 private:
  const Store* store_;
  MemoryBudget* budget_;
  Aggregation aggregation_;
  Array<T> scale_;  // per node: 1/sqrt(d+1), 1/d or 1/(d+1); empty for sum and none
  bool resident_ = false;
  mutable std::atomic<std::uint64_t> bytes_read_{0};
  std::vector<Shard> in_shards_, out_shards_;
};

extern template class Graph<float>;
extern template class Graph<double>;

}  // namespace strata
