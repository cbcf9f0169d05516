#include "storage/store_writer.hpp"

#include <algorithm>
#include <functional>

#include "kernels/base/error.hpp"
#include "kernels/loss.hpp"
#include "storage/array_file.hpp"
#include "storage/store_files.hpp"
#include "storage/store_manifest.hpp"

namespace strata {

namespace {

// What stands at the final place, checked before anything is written. A directory that is no store is never replaced.
DirectoryLock lock_replaced(const fs::path& final_directory, bool force) {
  if (!fs::exists(fs::symlink_status(final_directory))) return {};
  const std::string name = final_directory.string();
  if (!force) throw UsageError(name + ": already exists; choose another place or pass --force");
  if (!fs::is_directory(final_directory)) throw UsageError(name + ": is not a directory and is not replaced");
  if (fs::is_empty(final_directory)) return {};
  if (!fs::exists(final_directory / kManifestName)) {
    throw UsageError(name + ": is not empty and holds no store, so it is not replaced; choose another place");
  }
  return {final_directory, DirectoryLock::Kind::exclusive};
}

std::uint64_t sum(std::span<const std::uint32_t> values) {
  std::uint64_t total = 0;
  for (const std::uint32_t value : values) total += value;
  return total;
}

std::size_t index(EdgeSet edges) { return edges == EdgeSet::train ? 1 : 0; }
// Of files and of roles.
std::string prefixed(EdgeSet edges, const char* separator, const std::string& name) {
  return edges == EdgeSet::train ? "train" + (separator + name) : name;
}

}  // namespace

StoreWriter::StoreWriter(const fs::path& final_directory, bool force, MemoryBudget& budget)
    : replaced_(lock_replaced(final_directory, force)), directory_(final_directory), force_(force), budget_(&budget) {}

void StoreWriter::add_file(const std::string& file, const std::string& role) {
  files_.push_back(describe_file(path(), file, role));
}

void StoreWriter::add_shard(Direction direction, const ShardInfo& info, EdgeSet edges) {
  const bool in = direction == Direction::in;
  if (edges == EdgeSet::train) {
    (in ? parts_.train_graph.in_shards : parts_.train_graph.out_shards).push_back(info);
  } else {
    (in ? parts_.in_shards : parts_.out_shards).push_back(info);
  }
  add_file(info.file, prefixed(edges, "_", in ? "in_shard" : "out_shard"));
}

void StoreWriter::set_train_graph(const std::string& origin, bool undirected) {
  parts_.train_graph.present = true;
  parts_.train_graph.origin = origin;
  parts_.train_graph.undirected = undirected;
}

void StoreWriter::write_labels(std::span<const std::int32_t> classes) {
  STRATA_ASSERT(parts_.task == Task::none);
  for (const std::int32_t c : classes) {
    STRATA_ASSERT(c >= 0 || c == kUnlabelled);
    if (c == kUnlabelled) continue;
    ++parts_.labelled;
    label_classes_ = std::max(label_classes_, static_cast<std::uint64_t>(c) + 1);
  }
  parts_.task = Task::multiclass;
  label_rows_ = classes.size();
  write_array(path() / "labels.array", classes);
  add_file("labels.array", "labels");
}

void StoreWriter::write_labels(std::span<const std::uint8_t> targets, std::size_t target_stride,
                               std::span<const std::uint8_t> labelled) {
  STRATA_ASSERT(parts_.task == Task::none && targets.size() == labelled.size() * target_stride);
  parts_.labelled = labelled.size() - static_cast<std::uint64_t>(std::count(labelled.begin(), labelled.end(), 0));
  parts_.task = Task::multilabel;
  label_rows_ = labelled.size();
  label_stride_ = target_stride;
  write_array(path() / "labels.array", targets, target_stride);
  add_file("labels.array", "labels");
  write_array(path() / "labelled.array", labelled);
  add_file("labelled.array", "labelled");
}

void StoreWriter::write_degrees(Direction direction, std::span<const std::uint32_t> degrees, EdgeSet edges) {
  const bool in = direction == Direction::in;
  const std::string file = prefixed(edges, "-", in ? "in-degrees.array" : "out-degrees.array");
  (in ? in_degrees_ : out_degrees_)[index(edges)] = {degrees.size(), sum(degrees)};
  write_array(path() / file, degrees);
  add_file(file, prefixed(edges, "_", in ? "in_degrees" : "out_degrees"));
}

void StoreWriter::write_weighted_degrees(std::span<const float> degrees, EdgeSet edges) {
  const std::string file = prefixed(edges, "-", "weighted-degrees.array");
  weighted_degree_rows_[index(edges)] = degrees.size();
  write_array(path() / file, degrees);
  add_file(file, prefixed(edges, "_", "weighted_degrees"));
}

void StoreWriter::write_permutation(std::span<const NodeId> original_of_reordered) {
  Array<std::uint8_t> seen(*budget_, divide_up(original_of_reordered.size(), 8), "check of the permutation");
  for (const NodeId id : original_of_reordered) {
    STRATA_ASSERT(id < original_of_reordered.size() && (seen[id / 8] >> (id % 8) & 1) == 0);
    seen[id / 8] = static_cast<std::uint8_t>(seen[id / 8] | 1u << (id % 8));
  }
  permutation_rows_ = original_of_reordered.size();
  write_array(path() / "permutation.array", original_of_reordered);
  add_file("permutation.array", "permutation");
}

void StoreWriter::write_external_ids(std::span<const std::uint64_t> ids) {
  external_id_rows_ = ids.size();
  write_array(path() / "external-ids.array", ids);
  add_file("external-ids.array", "external_ids");
}

void StoreWriter::write_split(const std::string& name, std::span<const NodeId> nodes) {
  require_split_name(name);
  const std::string file = "split-" + name + ".array";
  STRATA_ASSERT(std::is_sorted(nodes.begin(), nodes.end(), std::less_equal<>()));  // strictly: no repeats
  if (!nodes.empty()) highest_split_node_ = std::max<std::uint64_t>(highest_split_node_, nodes.back());
  const ArrayInfo info = write_array(path() / file, nodes);
  add_file(file, "split");
  parts_.splits.push_back({name, nodes.size(), file, info.checksum});
}

void StoreWriter::add_features(std::uint64_t dim, Codec codec, const std::string& norm) {
  parts_.feature_dim = dim;
  parts_.feature_codec = codec;
  parts_.feature_norm = norm;
  add_file(kFeatures, "features");
}

void StoreWriter::check(const StoreInfo& info) const {
  const auto require = [&](bool holds, const std::string& what) {
    if (!holds)
      throw InputError(directory_.final_path().string(), "", "the parts of the store contradict each other: " + what);
  };
  const std::string contradiction = contradiction_in(info);
  require(contradiction.empty(), contradiction);
  require(permutation_rows_ == info.nodes, "permutation of " + std::to_string(permutation_rows_) + " nodes");
  require(external_id_rows_ == 0 || external_id_rows_ == info.nodes,
          "external ids of " + std::to_string(external_id_rows_) + " nodes");
  const auto agree = [&](const DegreeFacts& degrees, std::uint64_t edges) {
    return degrees.rows == info.nodes && degrees.sum == edges;
  };
  require(agree(in_degrees_[0], info.edges), "in-degrees");
  const bool has_out = !info.undirected && info.has_reverse;
  require(!has_out || agree(out_degrees_[0], info.edges), "out-degrees");
  require(!info.weighted || weighted_degree_rows_[0] == info.nodes, "degrees of edge weights");
  const TrainGraphInfo& train = info.train_graph;
  if (train.present) {
    require(agree(in_degrees_[1], train.edges), "in-degrees of the training graph");
    require(train.undirected || !train.has_reverse || agree(out_degrees_[1], train.edges),
            "out-degrees of the training graph");
    require(!info.weighted || weighted_degree_rows_[1] == info.nodes, "degrees of the training graph's edge weights");
  }
  require(info.task == Task::none || label_rows_ == info.nodes, std::to_string(label_rows_) + " labels");
  require(label_classes_ <= info.classes,
          "class " + std::to_string(label_classes_) + " of " + std::to_string(info.classes));
  require(info.task != Task::multilabel || label_stride_ == divide_up(info.classes, 8), "bytes of a row of labels");
  require(info.splits.empty() || highest_split_node_ < std::max<std::uint64_t>(info.nodes, 1), "a split's ids");
}

// What was added of it, with what follows from that.
TrainGraphInfo StoreWriter::train_graph_of(const StoreInfo& info) const {
  TrainGraphInfo graph = parts_.train_graph;
  for (const ShardInfo& shard : graph.in_shards) graph.edges += shard.edges;
  graph.has_reverse = graph.undirected || !graph.out_shards.empty() || info.nodes == 0;
  for (const SplitInfo& split : info.splits) {
    if (split.name == "train") graph.nodes = split.nodes;
  }
  return graph;
}

void StoreWriter::finish(StoreInfo info, const std::string& convert_json) {
  if (!convert_json.empty()) {
    write_file_atomically(path() / "convert.json", convert_json);
    add_file("convert.json", "convert");
  }
  info.edges = 0;
  for (const ShardInfo& shard : parts_.in_shards) info.edges += shard.edges;
  info.in_shards = parts_.in_shards;
  info.out_shards = parts_.out_shards;
  info.has_reverse = info.undirected || !info.out_shards.empty() || info.nodes == 0;
  info.feature_dim = parts_.feature_dim;
  info.feature_codec = parts_.feature_codec;
  info.feature_norm = parts_.feature_norm;
  info.task = parts_.task;
  info.labelled = parts_.labelled;
  info.splits = parts_.splits;
  info.train_graph = train_graph_of(info);
  info.format_version = format_version_of(info);
  if (info.task == Task::none) info.classes = 0;
  check(info);
  write_file_atomically(path() / ".lock", "");
  write_file_atomically(path() / kManifestName, manifest_text({info, files_}));
  directory_.publish(force_ ? AtomicDirectory::IfExists::replace : AtomicDirectory::IfExists::fail);
  replaced_.release();
}

void require_split_name(const std::string& name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
  });
  if (name.empty() || !plain)
    throw UsageError("'" + name + "' is not a split's name; use letters, digits, '-' and '_'");
}

}  // namespace strata
