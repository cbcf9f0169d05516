#include "storage/store.hpp"

#include <algorithm>
#include <array>
#include <atomic>

#include "kernels/base/error.hpp"
#include "kernels/loss.hpp"
#include "storage/array_file.hpp"
#include "storage/derived.hpp"
#include "storage/store_files.hpp"
#include "storage/store_manifest.hpp"

namespace strata {

struct Store::State {
  State(DirectoryLock held, const StoreInfo& info) : lock(std::move(held)) {
    std::size_t i = 0;
    for (const auto* shards :
         {&info.in_shards, &info.out_shards, &info.train_graph.in_shards, &info.train_graph.out_shards}) {
      checked[i++] = std::vector<std::atomic<bool>>(shards->size());
    }
  }
  DirectoryLock lock;
  // [edge set x direction][shard]: sections compared in this process
  std::array<std::vector<std::atomic<bool>>, 4> checked;
};

namespace {

// Before the lock, so that a directory that is no store is not given a lock file.
DirectoryLock lock_shared(const fs::path& directory) {
  require_store(directory);
  return {directory, DirectoryLock::Kind::shared};
}

std::string read_store_manifest(const fs::path& directory) {
  require_store(directory);
  return read_file(directory / kManifestName);
}

void require_ids(const fs::path& path, std::span<const NodeId> ids, std::uint64_t nodes, bool ascending) {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] >= nodes || (ascending && i > 0 && ids[i] <= ids[i - 1])) {
      throw DamagedError(path.string(), "value " + std::to_string(i),
                         std::string(ascending ? "ascending ids" : "ids") + " below " + std::to_string(nodes),
                         std::to_string(ids[i]));
    }
  }
}

}  // namespace

Store::Store(const fs::path& directory) : Store(directory, lock_shared(directory)) {}

Store::Store(const fs::path& directory, DirectoryLock held)
    : path_(directory), manifest_text_(read_store_manifest(directory)) {
  StoreManifest manifest = parse_manifest(path_ / kManifestName, manifest_text_);
  info_ = std::move(manifest.info);
  files_ = std::move(manifest.files);
  state_ = std::make_shared<State>(std::move(held), info_);
}

Store Store::train_graph() const {
  STRATA_ASSERT(info_.train_graph.present && edge_set_ == EdgeSet::all);
  Store view = *this;
  view.edge_set_ = EdgeSet::train;
  const TrainGraphInfo& graph = info_.train_graph;
  view.info_.edges = graph.edges;
  view.info_.undirected = graph.undirected;
  view.info_.has_reverse = graph.has_reverse;
  view.info_.in_shards = graph.in_shards;
  view.info_.out_shards = graph.out_shards;
  return view;
}

const std::vector<ShardInfo>& Store::shards(Direction direction) const {
  if (direction == Direction::in || info_.undirected) return info_.in_shards;
  if (!info_.has_reverse) {
    throw InputError(path_.string(), "", "holds no reversed graph; convert it again without --reverse off");
  }
  return info_.out_shards;
}

Shard Store::open_shard(Direction direction, std::size_t index, MemoryBudget& budget, SpareMemory* spares) const {
  const std::vector<ShardInfo>& list = shards(direction);
  STRATA_ASSERT(index < list.size());
  Shard shard(path_, list[index], budget, spares);
  const std::size_t which = (edge_set_ == EdgeSet::train ? 2 : 0) + (&list == &info_.in_shards ? 0 : 1);
  std::atomic<bool>& checked = state_->checked[which][index];
  if (!checked) {
    shard.check_sections();
    checked = true;
  }
  return shard;
}

const StoreFile& Store::file_of(const std::string& role, const std::string& missing) const {
  const auto found = std::find_if(files_.begin(), files_.end(), [&](const StoreFile& f) { return f.role == role; });
  if (found == files_.end()) throw InputError(path_.string(), "", missing);
  return *found;
}

RowFileReader Store::features(MemoryBudget& budget) const {
  const StoreFile& file =
      file_of("features", "holds no features; convert the data set with features, or choose a model without");
  check_described_file(path_, file);
  RowFileReader reader(path_ / file.file, budget);
  const RowShape& shape = reader.shape();
  if (shape.rows != info_.nodes || shape.cols != info_.feature_dim || shape.codec != info_.feature_codec) {
    throw DamagedError(reader.path().string(), "header: shape",
                       std::to_string(info_.nodes) + " x " + std::to_string(info_.feature_dim),
                       std::to_string(shape.rows) + " x " + std::to_string(shape.cols));
  }
  return reader;
}

Labels Store::labels(MemoryBudget& budget) const {
  Labels labels;
  labels.task = info_.task;
  if (info_.task == Task::none) return labels;
  const StoreFile& file = file_of("labels", "holds no labels");
  check_described_file(path_, file);
  const fs::path path = path_ / file.file;
  if (info_.task == Task::multilabel) {
    labels.target_stride = divide_up(info_.classes, 8);
    labels.targets = read_array<std::uint8_t>(path, info_.nodes, labels.target_stride, budget);
    const StoreFile& labelled = file_of("labelled", "holds no list of labelled nodes");
    check_described_file(path_, labelled);
    labels.labelled = read_array<std::uint8_t>(path_ / labelled.file, info_.nodes, 1, budget);
    return labels;
  }
  labels.classes = read_array<std::int32_t>(path, info_.nodes, 1, budget);
  for (std::size_t i = 0; i < labels.classes.size(); ++i) {
    const std::int32_t c = labels.classes[i];
    if (c != kUnlabelled && (c < 0 || static_cast<std::uint64_t>(c) >= info_.classes)) {
      throw DamagedError(path.string(), "value " + std::to_string(i),
                         "-1 or a class below " + std::to_string(info_.classes), std::to_string(c));
    }
  }
  return labels;
}

Array<std::uint32_t> Store::degrees(Direction direction, MemoryBudget& budget) const {
  const bool in = direction == Direction::in || info_.undirected;
  const StoreFile& file =
      file_of(role_of(in ? "in_degrees" : "out_degrees"),
              in ? "holds no degrees" : "holds no out-degrees; convert it again without --reverse off");
  check_described_file(path_, file);
  return read_array<std::uint32_t>(path_ / file.file, info_.nodes, 1, budget);
}

Array<float> Store::weighted_degrees(MemoryBudget& budget) const {
  const StoreFile& file = file_of(role_of("weighted_degrees"), "holds no edge weights");
  check_described_file(path_, file);
  return read_array<float>(path_ / file.file, info_.nodes, 1, budget);
}

bool Store::has_split(const std::string& name) const {
  return std::any_of(info_.splits.begin(), info_.splits.end(), [&](const SplitInfo& s) { return s.name == name; });
}

Array<NodeId> Store::split(const std::string& name, MemoryBudget& budget) const {
  for (const SplitInfo& split : info_.splits) {
    if (split.name != name) continue;
    const auto file =
        std::find_if(files_.begin(), files_.end(), [&](const StoreFile& f) { return f.file == split.file; });
    STRATA_ASSERT(file != files_.end());
    check_described_file(path_, *file);
    Array<NodeId> nodes = read_array<NodeId>(path_ / split.file, split.nodes, 1, budget);
    require_ids(path_ / split.file, nodes.span(), info_.nodes, true);
    return nodes;
  }
  throw InputError(path_.string(), "",
                   "holds no split '" + name + "'; add it with strata-store add --split " + name + "=FILE");
}

Array<NodeId> Store::original_ids(MemoryBudget& budget) const {
  const StoreFile& file = file_of("permutation", "holds no permutation");
  check_described_file(path_, file);
  Array<NodeId> ids = read_array<NodeId>(path_ / file.file, info_.nodes, 1, budget);
  require_ids(path_ / file.file, ids.span(), info_.nodes, false);
  return ids;
}

Array<NodeId> Store::reordered_ids(MemoryBudget& budget) const {
  const Array<NodeId> original = original_ids(budget);
  Array<NodeId> reordered(budget, original.size(), "original to reordered ids");
  std::fill(reordered.begin(), reordered.end(), UINT32_MAX);
  for (std::size_t i = 0; i < original.size(); ++i) reordered[original[i]] = static_cast<NodeId>(i);
  const auto missing = std::find(reordered.begin(), reordered.end(), UINT32_MAX);
  if (missing != reordered.end()) {
    throw DamagedError((path_ / file_of("permutation", "").file).string(), "values", "every id once",
                       "none that is " + std::to_string(missing - reordered.begin()));
  }
  return reordered;
}

Array<std::uint64_t> Store::external_ids(MemoryBudget& budget) const {
  const auto file =
      std::find_if(files_.begin(), files_.end(), [](const StoreFile& f) { return f.role == "external_ids"; });
  if (file == files_.end()) return {};
  check_described_file(path_, *file);
  return read_array<std::uint64_t>(path_ / file->file, info_.nodes, 1, budget);
}

std::vector<std::string> Store::files() const {
  std::vector<std::string> names{kManifestName};
  for (const StoreFile& file : files_) names.push_back(file.file);
  for (const std::string& key : derived_keys(path_)) {
    const std::string prefix = "derived/" + key + "/";
    names.push_back(prefix + kManifestName);
    // A damaged manifest is for verify_file to report, in its turn.
    try {
      const fs::path path = path_ / prefix / kManifestName;
      for (const StoreFile& file : parse_derived_manifest(path, read_file(path)).files)
        names.push_back(prefix + file.file);
    } catch (const Error&) {
      continue;
    }
  }
  return names;
}

void Store::verify_file(const std::string& name, const std::function<void(std::uint64_t)>& on_bytes) const {
  const auto verify_in = [&](const fs::path& directory, const std::vector<StoreFile>& files, const std::string& file) {
    const auto found = std::find_if(files.begin(), files.end(), [&](const StoreFile& f) { return f.file == file; });
    if (found == files.end()) throw InputError((directory / file).string(), "", "is not a file of the store");
    verify_described_file(directory, *found, on_bytes);
  };
  if (name == kManifestName) {
    static_cast<void>(parse_manifest(path_ / name, read_file(path_ / name)));
    return;
  }
  const std::string derived = "derived/";
  const std::size_t slash = name.starts_with(derived) ? name.find('/', derived.size()) : std::string::npos;
  if (slash == std::string::npos) {
    verify_in(path_, files_, name);
    return;
  }
  const fs::path directory = path_ / name.substr(0, slash);
  const fs::path manifest = directory / kManifestName;
  if (!fs::exists(manifest)) throw DamagedError(manifest.string(), "file", "a manifest", "no such file");
  const DerivedManifest parsed = parse_derived_manifest(manifest, read_file(manifest));
  const std::string file = name.substr(slash + 1);
  if (file != kManifestName) verify_in(directory, parsed.files, file);
}

}  // namespace strata
