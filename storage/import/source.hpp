// A data set to convert, as every reader presents it: facts known from headers, then edges, features, labels and splits
// streamed in the source's own node numbering. Everything the readers hand out is checked: ids are below the number of
// nodes, labels are in range, counts agree with what the files declare; violations are InputErrors with file and line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/base/budget.hpp"
#include "kernels/base/types.hpp"
#include "storage/import/options.hpp"
#include "storage/store.hpp"

namespace strata {

struct EdgePair {
  NodeId source;
  NodeId target;
};

struct SourceFacts {
  std::string name;
  std::uint64_t nodes = 0;
  std::uint64_t edges = 0;  // rows of the edge table
  bool each_once = false;   // the set is undirected and stores one direction of each edge: the other is added
  bool weighted = false;
  std::uint64_t feature_dim = 0;  // 0: no features
  std::string feature_place;      // file and member, for messages
  std::string metric;             // empty: by the task
  std::string split;              // name of the chosen split, for the report; empty: none
  // Of the source's own training graph, for messages: a file that split's nodes belong to; empty: it has none.
  std::string train_graph_place;
  std::uint64_t train_edges = 0;   // rows of its edge table
  bool random_split = false;       // drawn among the labelled nodes; read_splits() gives nothing
  std::uint64_t held_bytes = 0;    // memory the source holds as long as it lives
  std::vector<std::string> notes;  // what the user should know: what is left out, how things were taken
};

// In original numbering. multiclass: `classes_of` N values, kUnlabelled where none. multilabel: as Labels of store.hpp.
struct ImportedLabels {
  Task task = Task::none;
  std::uint64_t classes = 0;
  std::uint64_t labelled_nodes = 0;
  Array<std::int32_t> classes_of;
  Array<std::uint8_t> targets;
  Array<std::uint8_t> labelled;
  std::size_t target_stride = 0;
  std::vector<std::string> class_names;  // by class; empty: the source counts them from 0 itself

  [[nodiscard]] bool is_labelled(NodeId node) const {
    if (task == Task::multiclass) return classes_of[node] >= 0;
    return task == Task::multilabel && labelled[node] != 0;
  }
};

// One split in original numbering: ids in range, ascending, no repeats.
struct ImportedSplit {
  std::string name;
  std::string place;  // file and member, for messages
  std::vector<NodeId> nodes;
  // Where a node of the split stands in `place` ("line 17"), found anew when a message needs it; may be empty.
  std::function<std::string(NodeId node)> locate;

  [[nodiscard]] std::string where(NodeId node) const { return locate ? locate(node) : std::string(); }
};

class GraphSource {
 public:
  // weights: empty or one per pair. Blocks are valid during the call only.
  using EdgeSink = std::function<void(std::span<const EdgePair> pairs, std::span<const float> weights)>;
  // Rows in ascending order without gaps.
  using RowSink = std::function<void(std::uint64_t first_row, MatrixView<const float> rows)>;

  virtual ~GraphSource() = default;
  [[nodiscard]] virtual const SourceFacts& facts() const = 0;
  // Each of these starts from the beginning on every call and gives the same values in the same order.
  virtual void read_edges(MemoryBudget& budget, const EdgeSink& sink) = 0;
  // Of facts().train_graph_place; unweighted.
  virtual void read_train_edges(MemoryBudget& budget, const EdgeSink& sink);
  virtual void read_features(MemoryBudget& budget, const RowSink& sink) = 0;
  [[nodiscard]] virtual ImportedLabels read_labels(MemoryBudget& budget) = 0;
  [[nodiscard]] virtual std::vector<ImportedSplit> read_splits() = 0;
  // The ids of the source's own files, by original number; empty: they are 0..N-1.
  [[nodiscard]] virtual Array<std::uint64_t> external_ids(MemoryBudget& budget);
  // What was or will be read, for checksums; empty for generated graphs.
  [[nodiscard]] virtual std::vector<std::filesystem::path> files() const = 0;
};

[[nodiscard]] std::unique_ptr<GraphSource> open_ogb_source(const ImportOptions& options);
[[nodiscard]] std::unique_ptr<GraphSource> open_npy_source(const ImportOptions& options);
[[nodiscard]] std::unique_ptr<GraphSource> open_snap_source(const ImportOptions& options);
[[nodiscard]] std::unique_ptr<GraphSource> open_graphsaint_source(const ImportOptions& options);  // GraphSAGE's too
[[nodiscard]] std::unique_ptr<GraphSource> open_mag240m_source(const ImportOptions& options);
[[nodiscard]] std::unique_ptr<GraphSource> open_synthetic_source(const ImportOptions& options);
[[nodiscard]] std::unique_ptr<GraphSource> open_source(const ImportOptions& options);

// Where a reader may unpack what it cannot read in place.
[[nodiscard]] std::filesystem::path scratch_folder(const ImportOptions& options);

// Rows of features handed over at a time: a few MiB, whatever the width.
[[nodiscard]] std::size_t rows_per_block(std::uint64_t feature_dim);

}  // namespace strata
