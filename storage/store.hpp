// A store: the directory strata-convert writes once. Opening reads and checks manifest.json; everything else is opened
// on demand and charged to the caller's budget. An open store is locked (shared) against replacement. FORMAT.md has the
// bytes.
//
// Node ids here are the store's own (reordered) ones unless a name says "original".
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/base/budget.hpp"
#include "kernels/base/types.hpp"
#include "storage/row_file.hpp"
#include "storage/shard.hpp"

namespace strata {

enum class Task : std::uint8_t { none, multiclass, multilabel };
enum class Direction : std::uint8_t { in, out };  // out: the reversed graph; equal to in when undirected

// Which edges: all of the store's, or those of its training graph.
enum class EdgeSet : std::uint8_t { all, train };

// One file of a store as the manifest lists it.
struct StoreFile {
  std::string file;  // relative to the directory of the manifest
  std::string role;  // "in_shard", "out_shard", "features", "labels", "labelled", "in_degrees", "out_degrees",
                     // "weighted_degrees", "permutation", "external_ids", "split", "convert"; of the training graph
                     // "train_in_shard", "train_out_shard", "train_in_degrees", ...; empty in derived data
  std::string kind;  // "shard", "rows", "array": starts with a checksummed header page; "plain": anything else
  std::uint64_t bytes = 0;
  std::uint64_t checksum = 0;  // plain: of the whole file; else of the header, which holds those of the content
};

struct SplitInfo {
  std::string name;  // "train", "valid", "test"
  std::uint64_t nodes = 0;
  std::string file;
  std::uint64_t checksum = 0;
};

// The training graph of strata-convert --inductive: the same nodes, and edges between those of split train alone. Its
// shards are the ranges of the full graph's.
struct TrainGraphInfo {
  bool present = false;
  std::string origin;       // "split": induced by it; "source": the source has its own
  std::uint64_t nodes = 0;  // of split train
  std::uint64_t edges = 0;
  bool undirected = false;
  bool has_reverse = false;
  std::vector<ShardInfo> in_shards, out_shards;
};

struct StoreInfo {
  int format_version = 0;
  std::string name;    // of the data set
  std::string source;  // "ogb", "snap", ...: as --from
  std::uint64_t nodes = 0;
  std::uint64_t edges = 0;  // directed entries in the in-graph, after cleaning
  bool undirected = false;
  bool has_reverse = false;  // undirected, or out-shards exist
  bool weighted = false;
  std::uint64_t feature_dim = 0;  // 0: no features
  Codec feature_codec = Codec::fp32;
  std::string feature_norm = "none";
  Task task = Task::none;
  std::uint64_t classes = 0;  // columns of the logits
  std::string metric;         // "accuracy", "roc-auc", "micro-f1": what the data set is judged by
  std::uint64_t labelled = 0;
  std::string partitioner;
  std::uint64_t total_bytes = 0;
  std::vector<ShardInfo> in_shards, out_shards;
  std::vector<SplitInfo> splits;
  TrainGraphInfo train_graph;
};

struct Labels {
  Task task = Task::none;
  Array<std::int32_t> classes;   // multiclass: N, kUnlabelled where none
  Array<std::uint8_t> targets;   // multilabel: N x target_stride bytes, bit c%8 of byte c/8
  Array<std::uint8_t> labelled;  // multilabel: N
  std::size_t target_stride = 0;
};

class Store {
 public:
  explicit Store(const std::filesystem::path& directory);  // InputError: not a store; DamagedError: a damaged one
  Store(const std::filesystem::path& directory, DirectoryLock held);  // the same under a lock the caller already has
  [[nodiscard]] const StoreInfo& info() const { return info_; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] const std::vector<StoreFile>& listed_files() const { return files_; }  // without derived data
  // Manifest content as text, for hashing and for tools.
  [[nodiscard]] const std::string& manifest_text() const { return manifest_text_; }

  // The same store seen with the edges of its training graph: info()'s counts and shards, shards(), open_shard() and
  // the degrees are that graph's. It must have one.
  [[nodiscard]] Store train_graph() const;
  [[nodiscard]] EdgeSet edge_set() const { return edge_set_; }

  [[nodiscard]] const std::vector<ShardInfo>& shards(Direction direction) const;
  [[nodiscard]] Shard open_shard(Direction direction, std::size_t index, MemoryBudget& budget,
                                 SpareMemory* spares = nullptr) const;
  [[nodiscard]] RowFileReader features(MemoryBudget& budget) const;  // InputError when there are none
  [[nodiscard]] Labels labels(MemoryBudget& budget) const;
  // In-degrees without implicit self-loops; weighted_degrees() is the sum of edge weights (only for weighted graphs).
  [[nodiscard]] Array<std::uint32_t> degrees(Direction direction, MemoryBudget& budget) const;
  [[nodiscard]] Array<float> weighted_degrees(MemoryBudget& budget) const;
  [[nodiscard]] bool has_split(const std::string& name) const;
  [[nodiscard]] Array<NodeId> split(const std::string& name, MemoryBudget& budget) const;  // ascending reordered ids
  [[nodiscard]] Array<NodeId> original_ids(MemoryBudget& budget) const;                    // [reordered] -> original
  [[nodiscard]] Array<NodeId> reordered_ids(MemoryBudget& budget) const;                   // [original] -> reordered

  // [original] -> id in the files that were converted, ascending; empty when those are 0..N-1.
  [[nodiscard]] Array<std::uint64_t> external_ids(MemoryBudget& budget) const;

  // STORE/derived/<key>: data computed later, each a directory with its own manifest, appearing atomically.
  [[nodiscard]] std::filesystem::path derived_path(const std::string& key) const { return path_ / "derived" / key; }

  // Re-reads everything and checks it; calls on_file(name) before each file. DamagedError for the first fault.
  template <class OnFile>
  void verify(OnFile&& on_file) const;
  [[nodiscard]] std::vector<std::string> files()
      const;  // relative names of all files of the store, derived data included
  // on_bytes (may be empty) hears of the bytes checked. InputError when the store has no such file.
  void verify_file(const std::string& relative_name, const std::function<void(std::uint64_t)>& on_bytes = {}) const;

 private:
  struct State;
  [[nodiscard]] const StoreFile& file_of(const std::string& role, const std::string& missing) const;
  // The role of a file that each edge set has its own of.
  [[nodiscard]] std::string role_of(const char* role) const {
    return edge_set_ == EdgeSet::train ? std::string("train_") + role : role;
  }

  std::filesystem::path path_;
  std::string manifest_text_;
  StoreInfo info_;
  std::vector<StoreFile> files_;
  EdgeSet edge_set_ = EdgeSet::all;
  std::shared_ptr<State> state_;  // the lock, and which shards were checked; shared by copies of this handle
};

template <class OnFile>
void Store::verify(OnFile&& on_file) const {
  for (const std::string& name : files()) {
    on_file(name);
    verify_file(name);
  }
}

}  // namespace strata
