// OGB's on-disk layouts for node property prediction, homogeneous: csv.gz files (arxiv, products, proteins) and the
// binary npz layout (papers100M). Layout facts: snap-stanford/ogb, ogb/io/read_graph_raw.py and
// ogb/nodeproppred/dataset.py.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "storage/import/ogb_catalog.hpp"
#include "storage/import/source.hpp"

namespace strata {

// What the two layouts share: the catalogue entry, name, metric and splits.
class OgbSource : public GraphSource {
 public:
  explicit OgbSource(const ImportOptions& options, std::filesystem::path directory);
  [[nodiscard]] const SourceFacts& facts() const override { return facts_; }
  [[nodiscard]] std::vector<ImportedSplit> read_splits() override;
  [[nodiscard]] std::vector<std::filesystem::path> files() const override;

 protected:
  [[nodiscard]] std::filesystem::path raw(const std::string& file) const { return directory_ / "raw" / file; }
  // The number of classes when the catalogue knows it; 0: from the labels.
  [[nodiscard]] std::uint64_t known_classes() const { return entry_ ? entry_->classes : 0; }
  [[nodiscard]] ImportedLabels finish_labels(ImportedLabels labels) const;

  std::filesystem::path directory_;
  std::optional<OgbEntry> entry_;
  SourceFacts facts_;
  std::vector<std::filesystem::path> raw_files_;

 private:
  void choose_split(const std::string& wanted);
  std::filesystem::path split_directory_;  // empty: no split
};

class OgbCsvSource final : public OgbSource {
 public:
  OgbCsvSource(const ImportOptions& options, std::filesystem::path directory);
  void read_edges(MemoryBudget& budget, const EdgeSink& sink) override;
  void read_features(MemoryBudget& budget, const RowSink& sink) override;
  [[nodiscard]] ImportedLabels read_labels(MemoryBudget& budget) override;
};

class OgbNpzSource final : public OgbSource {
 public:
  OgbNpzSource(const ImportOptions& options, std::filesystem::path directory);
  void read_edges(MemoryBudget& budget, const EdgeSink& sink) override;
  void read_features(MemoryBudget& budget, const RowSink& sink) override;
  [[nodiscard]] ImportedLabels read_labels(MemoryBudget& budget) override;
};

}  // namespace strata
