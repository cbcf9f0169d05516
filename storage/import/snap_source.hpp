// --from snap: an edge list (SNAP's text files, MUSAE's csv, ASU's csv), with labels, communities and features beside
// it. Ids are any 64-bit numbers; nodes are numbered in their ascending order.
#pragma once

#include "storage/import/edge_list.hpp"
#include "storage/import/id_table.hpp"
#include "storage/import/snap_layout.hpp"
#include "storage/import/source.hpp"
#include "storage/import/sparse_features.hpp"

namespace strata {

class SnapSource final : public GraphSource {
 public:
  explicit SnapSource(const ImportOptions& options);
  [[nodiscard]] const SourceFacts& facts() const override { return facts_; }
  void read_edges(MemoryBudget& budget, const EdgeSink& sink) override;
  void read_features(MemoryBudget& budget, const RowSink& sink) override;
  [[nodiscard]] ImportedLabels read_labels(MemoryBudget& budget) override;
  [[nodiscard]] std::vector<ImportedSplit> read_splits() override { return {}; }
  [[nodiscard]] Array<std::uint64_t> external_ids(MemoryBudget& budget) override;
  [[nodiscard]] std::vector<std::filesystem::path> files() const override;

 private:
  void scan_edges(IdCollector& ids);
  void describe(const EdgeListReader& reader);

  MemoryBudget budget_;  // of what is held from here on: ids, sparse features
  SnapLayout layout_;
  SourceFacts facts_;
  IdTable ids_;
  SparseFeatures features_;
};

}  // namespace strata
