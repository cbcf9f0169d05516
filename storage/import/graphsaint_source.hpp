// --from graphsaint, GraphSAINT's layout: adj_full.npz (scipy CSR), class_map.json, role.json, feats.npy.
// adj_train.npz is the training nodes' graph, which --inductive takes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "storage/import/input_files.hpp"
#include "storage/import/npy_arrays.hpp"
#include "storage/import/source.hpp"

namespace strata {

class GraphSaintSource final : public GraphSource {
 public:
  GraphSaintSource(const ImportOptions& options, InputFiles files);
  [[nodiscard]] const SourceFacts& facts() const override { return facts_; }
  void read_edges(MemoryBudget& budget, const EdgeSink& sink) override;
  void read_train_edges(MemoryBudget& budget, const EdgeSink& sink) override;
  void read_features(MemoryBudget& budget, const RowSink& sink) override;
  [[nodiscard]] ImportedLabels read_labels(MemoryBudget& budget) override;
  [[nodiscard]] std::vector<ImportedSplit> read_splits() override;
  [[nodiscard]] std::vector<std::filesystem::path> files() const override;

 private:
  void open_training_graph();

  InputFiles files_;
  ArraySet adjacency_, arrays_;
  std::optional<ArraySet> training_;
  SourceFacts facts_;
};

}  // namespace strata
