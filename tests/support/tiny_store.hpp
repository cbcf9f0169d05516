// Small random stores for tests: a graph with isolated nodes, a hub, duplicates left out, and features and labels that
// are a pure function of the seed. Written with the same writers as real ones.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "kernels/base/types.hpp"
#include "storage/store.hpp"

namespace strata::test {

struct TinyStoreOptions {
  std::uint32_t nodes = 60;
  std::uint32_t edges = 200;  // drawn pairs; duplicates and self-loops are dropped
  std::uint32_t features = 5;
  std::uint32_t classes = 3;
  bool undirected = true;
  bool multilabel = false;
  std::uint32_t shard_rows = 0;  // rows of a shard, a multiple of kChunkRows; 0: one shard
  double labelled = 1.0;
  bool inductive = false;  // with the training graph that split train induces
  bool all_train = false;  // every labelled node is for training: the other splits are empty
  std::uint64_t seed = 1;
};

// The same graph in plain vectors, for naive twins. in[i]: ascending sources of node i.
struct TinyGraph {
  std::vector<std::vector<NodeId>> in;
  std::vector<float> features;            // nodes x features, row-major
  std::vector<std::int32_t> labels;       // multiclass
  std::vector<std::vector<int>> targets;  // multilabel: nodes x classes of 0/1
  std::vector<NodeId> train, valid, test;
};

[[nodiscard]] TinyGraph make_tiny_graph(const TinyStoreOptions& options);
// The edges between nodes of split train.
[[nodiscard]] std::vector<std::vector<NodeId>> training_edges(const TinyGraph& graph);
void write_tiny_store(const std::filesystem::path& directory, const TinyStoreOptions& options, const TinyGraph& graph);
// Both.
TinyGraph make_tiny_store(const std::filesystem::path& directory, const TinyStoreOptions& options);

}  // namespace strata::test
