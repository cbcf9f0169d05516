#include "storage/import/npy_source.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "kernels/base/error.hpp"
#include "storage/import/csr_arrays.hpp"

namespace strata {
namespace {

namespace fs = std::filesystem;

// Keys a split may have, by layout; the first that exists counts.
constexpr std::array<std::pair<const char*, std::array<const char*, 6>>, 3> kSplitKeys = {{
    {"train", {"train", "train_mask", "train_masks", "train_idx", nullptr, nullptr}},
    {"valid", {"valid", "valid_mask", "val_masks", "val", "val_mask", "valid_idx"}},
    {"test", {"test", "test_mask", "test_masks", "test_idx", nullptr, nullptr}},
}};

std::vector<std::pair<std::string, std::string>> split_keys_of(const ArraySet& arrays) {
  std::vector<std::pair<std::string, std::string>> keys;
  for (const auto& [name, candidates] : kSplitKeys) {
    for (const char* key : candidates) {
      if (key == nullptr || !arrays.has(key)) continue;
      keys.emplace_back(name, key);
      break;
    }
  }
  return keys;
}

// The node count from an array's rows, agreeing with what is known already (0: nothing yet).
void agree(const ArraySet& arrays, const std::string& key, std::uint64_t rows, std::uint64_t& nodes) {
  if (nodes != 0 && nodes != rows) {
    arrays.fail(key, "",
                "is about " + std::to_string(rows) + " nodes, but other arrays are about " + std::to_string(nodes));
  }
  nodes = rows;
}

std::string plain_name(const fs::path& input) {
  fs::path path = fs::absolute(input);
  if (path.filename().empty()) path = path.parent_path();
  return path.extension() == ".npz" || path.extension() == ".zip" ? path.stem().string() : path.filename().string();
}

// A directory, an .npz, or a zip archive with either.
ArraySet open_arrays(const ImportOptions& options) {
  if (options.input.extension() != ".zip") return ArraySet(options.input);
  const InputFiles files(options.input, scratch_folder(options));
  std::vector<std::string> archives;
  for (const std::string& name : files.list()) {
    if (name.ends_with(".npz")) archives.push_back(name);
  }
  if (files.has("edge_index.npy") || files.has("edges.npy") || files.has("adj_indptr.npy")) return ArraySet(files, "");
  if (archives.size() == 1) return ArraySet(files, archives.front());
  throw InputError(options.input.string(), "",
                   "holds " + std::to_string(archives.size()) + " .npz files and no edge_index.npy: expected one set");
}

}  // namespace

NpySource::NpySource(const ImportOptions& options)
    : arrays_(open_arrays(options)), zero_nan_(options.zero_nan_features), means_budget_(options.memory) {
  facts_.name = plain_name(options.input);
  if (arrays_.has("edge_index")) {
    open_plain();
  } else if (arrays_.has("edges")) {
    open_heterophilous();
  } else if (arrays_.has("adj_indptr") && arrays_.has("adj_indices")) {
    open_gnn_benchmark();
  } else if (arrays_.has("adj_matrix")) {
    arrays_.fail("adj_matrix", "",
                 "is a pickled Python object, which is not read: save its parts as adj_data, adj_indices, adj_indptr, "
                 "adj_shape (scipy's m.data, m.indices, m.indptr, m.shape), those of the features as attr_*");
  } else {
    throw InputError(options.input.string(), "",
                     "holds no graph: expected the array edge_index, or edges, or adj_indptr and adj_indices");
  }
  if (facts_.nodes > std::numeric_limits<NodeId>::max() - 1) {
    throw InputError(options.input.string(), "",
                     "has " + std::to_string(facts_.nodes) + " nodes: at most 2^32 - 2 fit");
  }
  choose_weights();
  choose_edge_features(options);
  find_splits(options);
}

void NpySource::open_plain() {
  edge_key_ = "edge_index";
  facts_.edges = edge_count(arrays_, edge_key_);
  if (arrays_.has("num_nodes")) {
    NpyReader reader = arrays_.open("num_nodes");
    if (reader.header().elements() != 1) arrays_.fail("num_nodes", "", "expected a single number");
    std::int64_t value = 0;
    reader.read_as_int64({&value, 1});
    if (value <= 0) arrays_.fail("num_nodes", "", "is " + std::to_string(value) + ", expected a positive number");
    facts_.nodes = static_cast<std::uint64_t>(value);
  }
  if (arrays_.has("node_feat")) {
    feature_key_ = "node_feat";
    agree(arrays_, feature_key_, arrays_.open(feature_key_).header().rows(), facts_.nodes);
  }
  if (arrays_.has("node_label")) {
    label_key_ = "node_label";
    agree(arrays_, label_key_, arrays_.open(label_key_).header().rows(), facts_.nodes);
  }
  if (facts_.nodes == 0) {  // nothing else tells: nodes that have an edge, and those numbered below them
    MemoryBudget scratch(std::uint64_t{64} << 20);
    NodeId last = 0;
    read_edge_arrays(arrays_, edge_key_, "", 0, scratch,
                     [&last](std::span<const EdgePair> pairs, std::span<const float>) {
                       for (const EdgePair& pair : pairs) last = std::max({last, pair.source, pair.target});
                     });
    facts_.nodes = facts_.edges == 0 ? 0 : std::uint64_t{last} + 1;
  }
  if (facts_.nodes == 0) throw InputError(arrays_.path().string(), "", "has no nodes");
  if (feature_key_.empty()) return;
  facts_.feature_dim = feature_columns(arrays_, feature_key_, facts_.nodes);
  facts_.feature_place = arrays_.place(feature_key_);
}

void NpySource::open_heterophilous() {
  edge_key_ = "edges";
  facts_.edges = edge_count(arrays_, edge_key_);
  // The authors' loader makes every set undirected but those named *_directed, which list directed edges.
  facts_.each_once = facts_.name.find("_directed") == std::string::npos;
  for (const char* key : {"node_features", "node_labels"}) {
    if (!arrays_.has(key)) throw InputError(arrays_.path().string(), "", "lacks the array " + std::string(key));
    agree(arrays_, key, arrays_.open(key).header().rows(), facts_.nodes);
  }
  feature_key_ = "node_features";
  label_key_ = "node_labels";
  facts_.feature_dim = feature_columns(arrays_, feature_key_, facts_.nodes);
  facts_.feature_place = arrays_.place(feature_key_);
}

void NpySource::open_gnn_benchmark() {
  const auto [rows, columns] = csr_shape(arrays_, "adj_");
  if (rows != columns) arrays_.fail("adj_shape", "", "the adjacency matrix is not square");
  facts_.nodes = rows;
  facts_.edges = arrays_.open("adj_indices").header().elements();
  if (arrays_.has("attr_indptr")) {
    const auto [nodes, features] = csr_shape(arrays_, "attr_");
    agree(arrays_, "attr_shape", nodes, facts_.nodes);
    facts_.feature_dim = features;
    facts_.feature_place = arrays_.place("attr_data");
    csr_features_ = true;
  } else if (arrays_.has("attr_matrix")) {
    feature_key_ = "attr_matrix";
    facts_.feature_dim = feature_columns(arrays_, feature_key_, facts_.nodes);
    facts_.feature_place = arrays_.place(feature_key_);
  }
  if (arrays_.has("labels")) label_key_ = "labels";
}

// Weights that are all one are no weights. (adj_data of the published sets is, so the sets come out as usual.)
void NpySource::choose_weights() {
  const std::string key = edge_key_.empty() ? "adj_data" : "edge_weight";
  if (!arrays_.has(key)) return;
  NpyReader reader = arrays_.open(key);
  if (reader.header().elements() != facts_.edges) {
    arrays_.fail(key, "",
                 "has " + std::to_string(reader.header().elements()) + " weights for " + std::to_string(facts_.edges) +
                     " edges");
  }
  std::vector<float> values(1 << 16);
  while (reader.remaining() != 0) {
    values.resize(std::min<std::uint64_t>(reader.remaining(), 1 << 16));
    reader.read_as_float(values);
    if (std::all_of(values.begin(), values.end(), [](float w) { return w == 1.0f; })) continue;
    weight_key_ = key;
    facts_.weighted = true;
    return;
  }
}

void NpySource::choose_edge_features(const ImportOptions& options) {
  const std::string key = arrays_.has("edge_feat") ? "edge_feat" : "edge_attr";
  const bool found = edge_key_ == "edge_index" && arrays_.has(key);
  if (!options.edge_feature_means) {
    if (found) facts_.notes.push_back("edge features are left out" + std::string(kMeansHint));
    return;
  }
  require_edge_features(facts_, found);
  edge_feature_key_ = key;
  both_ways_ = facts_.each_once || options.undirected;
  facts_.feature_dim = edge_feature_columns(arrays_, key, facts_.edges);
  facts_.feature_place = arrays_.place(key);
  facts_.held_bytes = EdgeFeatureMeans::bytes(facts_.nodes, facts_.feature_dim);
}

void NpySource::find_splits(const ImportOptions& options) {
  split_arrays_ = arrays_;
  if (!options.split.empty()) {
    const fs::path base = arrays_.path();
    std::optional<fs::path> found;
    for (const fs::path& folder : {base, base.parent_path(), fs::path()}) {
      for (const char* extension : {"", ".npz"}) {
        const fs::path candidate = folder / (options.split + extension);
        if (!found && fs::exists(candidate)) found = candidate;
      }
    }
    if (options.split == "random" && !found) {
      facts_.split = options.split;
      facts_.random_split = true;
      return split_arrays_.reset();
    }
    if (!found) {
      throw InputError(options.split, "",
                       "there is no split of that name: expected a directory or .npz with the arrays "
                       "train, valid and test, in or beside the input, or 'random'");
    }
    split_arrays_.emplace(*found);
  }
  split_keys_ = split_keys_of(*split_arrays_);
  if (split_keys_.empty() && !options.split.empty()) {
    throw InputError(split_arrays_->path().string(), "", "holds none of the arrays train, valid, test");
  }
  if (!split_keys_.empty()) facts_.split = options.split.empty() ? "given" : options.split;
  split_index_ = options.split_index.value_or(0);
  const bool tables = std::any_of(split_keys_.begin(), split_keys_.end(),
                                  [&](const auto& entry) { return is_mask_table(*split_arrays_, entry.second); });
  if (options.split_index && !tables) {
    throw UsageError("--split-index: " + arrays_.path().string() + " has no table of masks to choose from");
  }
  if (tables) facts_.split += "-" + std::to_string(split_index_);
}

void NpySource::read_edges(MemoryBudget& budget, const EdgeSink& sink) {
  if (edge_key_.empty()) return read_csr_edges(arrays_, "adj_", facts_.nodes, !weight_key_.empty(), budget, sink);
  read_edge_arrays(arrays_, edge_key_, weight_key_, facts_.nodes, budget, sink);
}

void NpySource::read_csr_features(MemoryBudget& budget, const RowSink& sink) const {
  CsrWalker walker(arrays_, "attr_", facts_.feature_dim, true);
  const std::size_t columns = facts_.feature_dim;
  const std::size_t capacity = rows_per_block(columns);
  const Array<float> block(budget, capacity * columns, "a block of features");
  for (std::uint64_t first = 0; first < facts_.nodes; first += capacity) {
    const std::size_t rows = std::min<std::uint64_t>(capacity, facts_.nodes - first);
    std::fill_n(block.data(), rows * columns, 0.0f);
    for (std::size_t r = 0; r < rows; ++r) {
      walker.next_row();
      while (walker.next_block()) {
        for (std::size_t i = 0; i < walker.columns_of_block.size(); ++i) {
          block[r * columns + static_cast<std::size_t>(walker.columns_of_block[i])] += walker.values_of_block[i];
        }
      }
    }
    sink(first, {block.data(), rows, columns});
  }
  walker.finish();
}

void NpySource::read_features(MemoryBudget& budget, const RowSink& sink) {
  if (facts_.feature_dim == 0) return;
  if (csr_features_) return read_csr_features(budget, sink);
  if (!edge_feature_key_.empty()) {
    if (!means_) {
      means_ = average_edge_array(*this, both_ways_, arrays_, edge_feature_key_, zero_nan_, means_budget_, budget);
    }
    return means_->read(budget, sink);
  }
  read_feature_array(arrays_, feature_key_, facts_.nodes, budget, sink);
}

ImportedLabels NpySource::read_labels(MemoryBudget& budget) {
  if (label_key_.empty()) return {};
  return read_label_array(arrays_, label_key_, facts_.nodes, 0, budget);
}

std::vector<ImportedSplit> NpySource::read_splits() {
  std::vector<ImportedSplit> splits;
  for (const auto& [name, key] : split_keys_) {
    splits.push_back(read_split_array(*split_arrays_, key, name, facts_.nodes, split_index_));
  }
  return splits;
}

std::vector<fs::path> NpySource::files() const {
  std::vector<std::string> keys;
  for (const std::string& key : {edge_key_, feature_key_, label_key_, weight_key_, edge_feature_key_}) {
    if (!key.empty()) keys.push_back(key);
  }
  if (edge_key_.empty()) keys.insert(keys.end(), {"adj_indptr", "adj_indices", "adj_shape"});
  if (csr_features_) keys.insert(keys.end(), {"attr_data", "attr_indptr", "attr_indices", "attr_shape"});
  std::vector<fs::path> files = arrays_.files(keys);
  if (!split_keys_.empty()) {
    std::vector<std::string> names;
    for (const auto& entry : split_keys_) names.push_back(entry.second);
    for (fs::path& file : split_arrays_->files(names)) {
      if (std::find(files.begin(), files.end(), file) == files.end()) files.push_back(std::move(file));
    }
  }
  return files;
}

std::unique_ptr<GraphSource> open_npy_source(const ImportOptions& options) {
  return std::make_unique<NpySource>(options);
}

}  // namespace strata
