// --from graphsaint, GraphSAGE's layout: PREFIX-G.json (node-link JSON, `val` and `test` flags on nodes),
// PREFIX-feats.npy, PREFIX-id_map.json (node id -> row of the features), PREFIX-class_map.json. Nodes are numbered as
// the rows.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "storage/import/input_files.hpp"
#include "storage/import/json_reader.hpp"
#include "storage/import/npy_arrays.hpp"
#include "storage/import/source.hpp"

namespace strata {

struct SageFiles {
  InputFiles files;
  std::string prefix;  // "ppi" of "ppi-G.json"
};

// --input is the directory or archive with one PREFIX-G.json, that file, or its path without "-G.json".
[[nodiscard]] std::optional<SageFiles> find_sage_files(const ImportOptions& options);

// Names of nodes, text or numbers, and the rows they stand for. Names are kept as 64-bit hashes.
class NodeNames {
 public:
  NodeNames() = default;
  NodeNames(MemoryBudget& budget, std::uint64_t capacity) : entries_(budget, capacity, "names of nodes") {}
  void add(const std::string& name, NodeId row);
  // The name that was added twice is not known any more; its rows are.
  [[nodiscard]] std::optional<std::pair<NodeId, NodeId>> finish();
  [[nodiscard]] std::optional<NodeId> find(const std::string& name) const;
  [[nodiscard]] std::uint64_t size() const { return filled_; }

 private:
  struct Entry {
    std::uint64_t hash;
    NodeId row;
  };
  Array<Entry> entries_;
  std::uint64_t filled_ = 0;
};

class GraphSageSource final : public GraphSource {
 public:
  GraphSageSource(const ImportOptions& options, SageFiles sage);
  [[nodiscard]] const SourceFacts& facts() const override { return facts_; }
  void read_edges(MemoryBudget& budget, const EdgeSink& sink) override;
  void read_features(MemoryBudget& budget, const RowSink& sink) override;
  [[nodiscard]] ImportedLabels read_labels(MemoryBudget& budget) override;
  [[nodiscard]] std::vector<ImportedSplit> read_splits() override;
  [[nodiscard]] std::vector<std::filesystem::path> files() const override;

 private:
  [[nodiscard]] InputFile file(const std::string& end) const { return files_.file(prefix_ + end); }
  void count_graph();
  void read_id_map();
  void read_nodes();
  [[nodiscard]] NodeId take_end(JsonReader& json) const;
  [[nodiscard]] NodeId row_of(const JsonReader& json, const std::string& name) const;

  InputFiles files_;
  std::string prefix_;
  ArraySet arrays_;
  MemoryBudget budget_;  // of what is held from here on
  SourceFacts facts_;
  bool has_id_map_ = false;
  bool named_ = false;  // some node's id is text: links give positions in the list of nodes
  NodeNames names_;
  Array<NodeId> row_of_position_;
  Array<std::uint8_t> role_of_;  // by row: 0 none, 1 train, 2 valid, 3 test
  std::uint64_t positions_ = 0;
};

}  // namespace strata
