// --from npy: a directory of .npy arrays or one .npz, in one of three key layouts (data.md section 4):
//   plain          edge_index, node_feat, node_label, train/valid/test, edge_weight, num_nodes
//   gnn-benchmark  adj_indptr/indices/data/shape, attr_* (CSR) or attr_matrix, labels      (Shchur et al.)
//   heterophilous  edges (each undirected edge once), node_features, node_labels, *_masks  (Platonov et al.)
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "storage/import/edge_features.hpp"
#include "storage/import/npy_arrays.hpp"
#include "storage/import/source.hpp"

namespace strata {

class NpySource final : public GraphSource {
 public:
  explicit NpySource(const ImportOptions& options);
  [[nodiscard]] const SourceFacts& facts() const override { return facts_; }
  void read_edges(MemoryBudget& budget, const EdgeSink& sink) override;
  void read_features(MemoryBudget& budget, const RowSink& sink) override;
  [[nodiscard]] ImportedLabels read_labels(MemoryBudget& budget) override;
  [[nodiscard]] std::vector<ImportedSplit> read_splits() override;
  [[nodiscard]] std::vector<std::filesystem::path> files() const override;

 private:
  void open_plain();
  void open_heterophilous();
  void open_gnn_benchmark();
  void choose_weights();
  void choose_edge_features(const ImportOptions& options);
  void find_splits(const ImportOptions& options);
  void read_csr_features(MemoryBudget& budget, const RowSink& sink) const;

  ArraySet arrays_;
  SourceFacts facts_;
  std::string edge_key_;          // empty: adj_* (CSR)
  std::string feature_key_;       // empty: attr_* (CSR) or none
  std::string label_key_;         // empty: none
  std::string weight_key_;        // empty: none
  std::string edge_feature_key_;  // empty: none, or left out
  bool both_ways_ = false, zero_nan_ = false;
  MemoryBudget means_budget_;  // of the means, which are held once they were asked for
  std::optional<EdgeFeatureMeans> means_;
  bool csr_features_ = false;
  std::optional<ArraySet> split_arrays_;  // where the splits are: arrays_, or the set --split names
  std::vector<std::pair<std::string, std::string>> split_keys_;  // name, key
  std::uint64_t split_index_ = 0;
};

}  // namespace strata
