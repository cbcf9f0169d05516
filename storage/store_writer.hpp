// Writes a store: everything goes into a directory beside the final one, which gets its name as a whole at the end.
// Until finish() returns the final directory is as it was before (absent, or with `force` the old store); a killed run
// leaves only a hidden directory that the next run clears. Files are synced as they are written, manifest.json last.
//
//   StoreWriter writer("arxiv.store", /*force=*/false, budget);
//   writer.add_shard(Direction::in, write_shard(writer.path(), "in-00000.shard", 0, offsets, sources, {}));
//   RowFileWriter features(writer.path() / StoreWriter::kFeatures, shape, {}, budget); ... features.commit();
//   writer.add_features(shape.cols, shape.codec, "none");
//   writer.write_degrees(Direction::in, degrees); ... writer.finish(info, convert_json);
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "kernels/base/budget.hpp"
#include "storage/file.hpp"
#include "storage/store.hpp"

namespace strata {

class StoreWriter {
 public:
  static constexpr const char* kFeatures = "features.rows";

  // UsageError when `final_directory` exists and `force` is not set, when what is there is no store (it is never
  // replaced), or when it or its temporary sibling is in use. `budget` must outlive the writer.
  StoreWriter(const std::filesystem::path& final_directory, bool force, MemoryBudget& budget);

  // Where the files go until finish().
  [[nodiscard]] const std::filesystem::path& path() const { return directory_.path(); }

  // In ascending order of first_row per direction; the file is already written (write_shard) below path(). For an
  // undirected graph only Direction::in is added. edges: those of the training graph go beside the others, as do their
  // degrees.
  void add_shard(Direction direction, const ShardInfo& info, EdgeSet edges = EdgeSet::all);
  // Multiclass: one class (or kUnlabelled) per node.
  void write_labels(std::span<const std::int32_t> classes);
  // Multilabel: nodes x target_stride bytes, target of class c is bit c % 8 of byte c / 8; labelled: one byte (0, 1) a
  // node.
  void write_labels(std::span<const std::uint8_t> targets, std::size_t target_stride,
                    std::span<const std::uint8_t> labelled);
  // One a node, reordered. Direction::out is needed for directed graphs with a reverse only.
  void write_degrees(Direction direction, std::span<const std::uint32_t> degrees, EdgeSet edges = EdgeSet::all);
  void write_weighted_degrees(std::span<const float> degrees, EdgeSet edges = EdgeSet::all);
  // There is a training graph; origin: as in TrainGraphInfo. Its edges are added as the full graph's are.
  void set_train_graph(const std::string& origin, bool undirected);
  // original_of_reordered[r] is the original id of node r: a permutation of [0, nodes).
  void write_permutation(std::span<const NodeId> original_of_reordered);
  // The ids that the source's files use, [original]; none when they are 0..N-1.
  void write_external_ids(std::span<const std::uint64_t> ids);
  // Ascending reordered ids, no repeats. `name`: letters, digits, '-', '_'.
  void write_split(const std::string& name, std::span<const NodeId> nodes);
  // After RowFileWriter(path() / kFeatures, ...).commit().
  void add_features(std::uint64_t dim, Codec codec, const std::string& norm);

  // Checks that the parts agree (InputError names the contradiction: these are facts about the data, not our
  // invariants), writes convert.json and manifest.json and gives the directory its name. From `info` are taken: name,
  // source, nodes, undirected, weighted, classes, metric, partitioner; the rest follows from what was added.
  void finish(StoreInfo info, const std::string& convert_json);

 private:
  struct DegreeFacts {
    std::uint64_t rows = 0, sum = 0;
  };
  void check(const StoreInfo& info) const;
  [[nodiscard]] TrainGraphInfo train_graph_of(const StoreInfo& info) const;
  void add_file(const std::string& file, const std::string& role);

  DirectoryLock replaced_;  // held on the store that `force` will replace
  AtomicDirectory directory_;
  bool force_;
  MemoryBudget* budget_;
  StoreInfo parts_;  // what was added so far
  std::vector<StoreFile> files_;
  std::uint64_t label_rows_ = 0, label_stride_ = 0;
  std::uint64_t label_classes_ = 0;  // one more than the highest class
  std::uint64_t highest_split_node_ = 0;
  // By edge set.
  std::array<DegreeFacts, 2> in_degrees_, out_degrees_;
  std::array<std::uint64_t, 2> weighted_degree_rows_{};
  std::uint64_t permutation_rows_ = 0, external_id_rows_ = 0;
};

// UsageError unless a split may have this name.
void require_split_name(const std::string& name);

}  // namespace strata
