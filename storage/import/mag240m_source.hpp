// --from mag240m: papers and their citations in OGB-LSC's layout. processed/paper/node_feat.npy (float16) and
// node_label.npy (NaN: unlabelled), processed/paper___cites___paper/edge_index.npy, meta.pt, split_dict.pt (or
// train.npy, valid.npy, test.npy beside them). Layout facts: snap-stanford/ogb, ogb/lsc/mag240m.py.
#pragma once

#include <string>
#include <vector>

#include "storage/import/input_files.hpp"
#include "storage/import/npy_arrays.hpp"
#include "storage/import/source.hpp"

namespace strata {

class Mag240mSource final : public GraphSource {
 public:
  Mag240mSource(const ImportOptions& options, InputFiles files);
  [[nodiscard]] const SourceFacts& facts() const override { return facts_; }
  void read_edges(MemoryBudget& budget, const EdgeSink& sink) override;
  void read_features(MemoryBudget& budget, const RowSink& sink) override;
  [[nodiscard]] ImportedLabels read_labels(MemoryBudget& budget) override;
  [[nodiscard]] std::vector<ImportedSplit> read_splits() override;
  [[nodiscard]] std::vector<std::filesystem::path> files() const override;

 private:
  void count_nodes();
  void check_meta();
  void choose_split(const std::string& wanted);

  InputFiles files_;
  ArraySet papers_, cites_, splits_;
  SourceFacts facts_;
  std::uint64_t classes_ = 0;  // 0: from the labels
  bool split_arrays_ = false;
};

}  // namespace strata
