// OGB's on-disk layouts for node property prediction, homogeneous: csv.gz files (arxiv, products, proteins) and the
// binary npz layout (papers100M). Layout facts: snap-stanford/ogb, ogb/io/read_graph_raw.py and
// ogb/nodeproppred/dataset.py.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "storage/import/edge_features.hpp"
#include "storage/import/input_files.hpp"
#include "storage/import/npy_arrays.hpp"
#include "storage/import/ogb_catalog.hpp"
#include "storage/import/source.hpp"

namespace strata {

// What the two layouts share: the catalogue entry, name, metric and splits.
class OgbSource : public GraphSource {
 public:
  OgbSource(const ImportOptions& options, InputFiles files);
  [[nodiscard]] const SourceFacts& facts() const override { return facts_; }
  [[nodiscard]] std::vector<ImportedSplit> read_splits() override;
  [[nodiscard]] std::vector<std::filesystem::path> files() const override;

 protected:
  [[nodiscard]] InputFile raw(const std::string& file) const { return files_.file("raw/" + file); }
  // The number of classes when the catalogue knows it; 0: from the labels.
  [[nodiscard]] std::uint64_t known_classes() const { return entry_ ? entry_->classes : 0; }
  [[nodiscard]] ImportedLabels finish_labels(ImportedLabels labels) const;

  // Means of edge features instead of node features: announces them, or refuses.
  void announce_edge_features(const ImportOptions& options, bool found, std::uint64_t columns,
                              const std::string& place);

  InputFiles files_;
  std::optional<OgbEntry> entry_;
  SourceFacts facts_;
  std::vector<InputFile> raw_files_;
  bool edge_means_ = false, zero_nan_ = false, both_ways_ = false;
  MemoryBudget means_budget_;  // of the means, which are held once they were asked for
  std::optional<EdgeFeatureMeans> means_;

 private:
  void choose_split(const std::string& wanted);
  std::string split_directory_;  // "split/time"; empty: no split
};

class OgbCsvSource final : public OgbSource {
 public:
  OgbCsvSource(const ImportOptions& options, InputFiles files);
  void read_edges(MemoryBudget& budget, const EdgeSink& sink) override;
  void read_features(MemoryBudget& budget, const RowSink& sink) override;
  [[nodiscard]] ImportedLabels read_labels(MemoryBudget& budget) override;

 private:
  void read_edge_means(MemoryBudget& budget, const RowSink& sink);
};

class OgbNpzSource final : public OgbSource {
 public:
  OgbNpzSource(const ImportOptions& options, InputFiles files);
  void read_edges(MemoryBudget& budget, const EdgeSink& sink) override;
  void read_features(MemoryBudget& budget, const RowSink& sink) override;
  [[nodiscard]] ImportedLabels read_labels(MemoryBudget& budget) override;

 private:
  ArraySet data_;
};

}  // namespace strata
