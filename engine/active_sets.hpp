// Which nodes each layer has rows for (design sections 2 and 5). With K layers:
//
//   A_K = the labelled training nodes;  A_{k-1} = A_k and, where layer k aggregates, the in-neighbours of A_k;
//   E_k = the same closure of the labelled training, validation and test nodes;  D_k = E_k \ A_k.
//
// Batches, statistics and step counts are defined over A_k; D_k is touched by evaluation only. X^0 has all nodes. In a
// graph of 65,536 nodes or more an A_k (k < K) that lacks at most a sixteenth of them is taken to be all. The nodes of
// a training graph (Store::train_graph) are those of split train: no A_k goes beyond them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/row_map.hpp"
#include "engine/workers.hpp"
#include "storage/store.hpp"

namespace strata {

struct Model;

// Ascending labelled nodes of the splits.
struct LabelledNodes {
  std::span<const NodeId> train, valid, test;
};

class ActiveSets {
 public:
  // aggregates[k - 1]: layer k aggregates. Taken from STORE/derived where an earlier run left them (DamagedError if
  // they are not what it wrote), else computed from the shards, read one at a time, and left there if the store can be
  // written. Peak memory: N/2 bytes and an open shard beside the sets themselves.
  ActiveSets(const Store& store, const std::vector<bool>& aggregates, const LabelledNodes& labelled, Workers& workers,
             MemoryBudget& budget);
  // The closure of any ascending nodes, for predicting them: A_K = wanted, every D_k empty. Not kept.
  ActiveSets(const Store& store, const std::vector<bool>& aggregates, std::span<const NodeId> wanted, Workers& workers,
             MemoryBudget& budget);

  [[nodiscard]] std::size_t layers() const { return map_of_layer_.size(); }
  // The rows of layer k (1 to K): those of its outputs X^k and of Z^k. Layers with the same nodes share one map.
  [[nodiscard]] const RowMap& layer(std::size_t k) const { return maps_[map_of_layer_[k - 1]]; }
  // The rows of layer k's inputs: those of layer k - 1, or all nodes for k = 1.
  [[nodiscard]] const RowMap& inputs(std::size_t k) const { return k == 1 ? features_ : layer(k - 1); }
  [[nodiscard]] std::uint64_t nodes() const { return features_.nodes(); }
  [[nodiscard]] std::uint64_t shards_read() const { return shards_read_; }  // to compute them
  [[nodiscard]] bool loaded() const { return loaded_; }                     // from STORE/derived

 private:
  ActiveSets(const Store& store, const std::vector<bool>& aggregates);
  void compute(const Store& store, NodeBits train, NodeBits all, Workers& workers, MemoryBudget& budget);
  void load(const Store& store, const std::string& key, MemoryBudget& budget);
  void keep(const Store& store, const std::string& key) const;

  std::vector<std::size_t> map_of_layer_;  // [k - 1]; ascending layers share or descend
  std::vector<RowMap> maps_;               // maps_[0] is the last layer's
  RowMap features_;
  std::uint64_t shards_read_ = 0;
  bool loaded_ = false;
};

// Rows a layer and their share of the nodes, as text, one line a layer, for --explain.
[[nodiscard]] std::string describe(const ActiveSets& sets);
[[nodiscard]] std::vector<bool> aggregation_flags(const Model& model);

// Where the sets of these layers and nodes are kept.
[[nodiscard]] std::string active_sets_key(const std::vector<bool>& aggregates, const LabelledNodes& labelled,
                                          EdgeSet edges = EdgeSet::all);

}  // namespace strata
