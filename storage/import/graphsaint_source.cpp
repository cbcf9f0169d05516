#include "storage/import/graphsaint_source.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "kernels/base/error.hpp"
#include "storage/import/class_map.hpp"
#include "storage/import/csr_arrays.hpp"
#include "storage/import/graphsage_source.hpp"
#include "storage/import/labels.hpp"

namespace strata {
namespace {

constexpr std::array<std::pair<const char*, const char*>, 3> kRoles = {
    {{"tr", "train"}, {"va", "valid"}, {"te", "test"}}};

std::uint64_t square_shape(const ArraySet& arrays) {
  const auto [rows, columns] = csr_shape(arrays, "");
  if (rows != columns) {
    arrays.fail("shape", "",
                "is (" + std::to_string(rows) + ", " + std::to_string(columns) + "): the matrix is not square");
  }
  return rows;
}

// scipy writes the format's name as a byte string.
void require_csr(const ArraySet& arrays) {
  if (!arrays.has("format")) return;
  NpyReader reader = arrays.open("format");
  const NpyHeader& header = reader.header();
  std::vector<std::byte> bytes(header.type.bytes);
  if (header.elements() == 1 && bytes.size() < 64) reader.read_raw(bytes);
  std::string text;
  for (const std::byte b : bytes) {
    if (b != std::byte{0}) text += static_cast<char>(b);
  }
  if (text != "csr") arrays.fail("format", "", "is '" + text.substr(0, 16) + "', expected 'csr': save matrix.tocsr()");
}

std::vector<NodeId> take_nodes(JsonReader& json, std::uint64_t nodes) {
  std::vector<NodeId> ids;
  json.begin_array();
  while (json.next_element()) {
    if (ids.size() > nodes) json.fail("more entries than the graph has nodes");
    ids.push_back(take_node(json, nodes));
  }
  return ids;
}

std::vector<NodeId> read_role(const InputFile& file, const std::string& role, std::uint64_t nodes) {
  JsonReader json(file);
  std::string key;
  json.begin_object();
  while (json.next_key(key)) {
    if (key == role) return take_nodes(json, nodes);
    json.skip_value();
  }
  json.fail("there is no list \"" + role + "\"");
}

}  // namespace

GraphSaintSource::GraphSaintSource(const ImportOptions& options, InputFiles files)
    : files_(std::move(files)), adjacency_(files_, "adj_full.npz"), arrays_(files_, "") {
  facts_.name = files_.name();
  require_csr(adjacency_);
  facts_.nodes = square_shape(adjacency_);
  facts_.edges = adjacency_.open("indices").header().elements();
  if (arrays_.has("feats")) {
    facts_.feature_dim = feature_columns(arrays_, "feats", facts_.nodes);
    facts_.feature_place = arrays_.place("feats");
  }
  if (options.split == "random") {
    facts_.split = options.split;
    facts_.random_split = true;
  } else if (files_.has("role.json") && files_.has("class_map.json")) {
    facts_.split = "role";
  }
  if (files_.has("adj_train.npz")) open_training_graph();
}

// It belongs to the training nodes of role.json: a split that is drawn has another.
void GraphSaintSource::open_training_graph() {
  const ArraySet& training = training_.emplace(files_, "adj_train.npz");
  require_csr(training);
  const std::uint64_t nodes = square_shape(training);
  if (nodes != facts_.nodes) {
    training.fail("shape", "",
                  "is of " + std::to_string(nodes) + " nodes, but adj_full.npz has " + std::to_string(facts_.nodes));
  }
  if (facts_.split != "role") return;
  facts_.train_edges = training.open("indices").header().elements();
  if (facts_.train_edges > facts_.edges) {
    training.fail(
        "indices", "",
        "has " + std::to_string(facts_.train_edges) + " edges, but adj_full.npz only " + std::to_string(facts_.edges));
  }
  facts_.train_graph_place = training.place("indices");
}

void GraphSaintSource::read_train_edges(MemoryBudget& budget, const EdgeSink& sink) {
  read_csr_edges(*training_, "", facts_.nodes, false, budget, sink);
}

void GraphSaintSource::read_edges(MemoryBudget& budget, const EdgeSink& sink) {
  read_csr_edges(adjacency_, "", facts_.nodes, false, budget, sink);
}

void GraphSaintSource::read_features(MemoryBudget& budget, const RowSink& sink) {
  if (facts_.feature_dim != 0) read_feature_array(arrays_, "feats", facts_.nodes, budget, sink);
}

ImportedLabels GraphSaintSource::read_labels(MemoryBudget& budget) {
  if (!files_.has("class_map.json")) return {};
  return read_class_map(
      files_.file("class_map.json"), facts_.nodes,
      [this](const JsonReader& json, const std::string& key) { return resolve_number(json, key, facts_.nodes); },
      budget);
}

std::vector<ImportedSplit> GraphSaintSource::read_splits() {
  std::vector<ImportedSplit> splits;
  if (facts_.split != "role") return splits;
  const InputFile file = files_.file("role.json");
  for (const auto& [key, name] : kRoles) {
    const std::string role = key;
    const std::uint64_t nodes = facts_.nodes;
    splits.push_back(make_split(name, file.place(), read_role(file, role, nodes), [file, role, nodes](NodeId node) {
      const std::vector<NodeId> ids = read_role(file, role, nodes);  // the last occurrence is the offending one
      const auto found = std::find(ids.rbegin(), ids.rend(), node);
      return "\"" + role + "\", element " + std::to_string(ids.rend() - found - 1);
    }));
  }
  return splits;
}

std::vector<fs::path> GraphSaintSource::files() const {
  std::vector<InputFile> files;
  for (const char* name : {"adj_full.npz", "adj_train.npz", "feats.npy", "class_map.json", "role.json"}) {
    if (files_.has(name)) files.push_back(files_.file(name));
  }
  return files_on_disk(files);
}

std::unique_ptr<GraphSource> open_graphsaint_source(const ImportOptions& options) {
  if (!options.split.empty() && options.split != "random") {
    throw UsageError("--split " + options.split + ": these sets have one split; use --split random to draw another");
  }
  const std::optional<SageFiles> sage = find_sage_files(options);
  if (sage) return std::make_unique<GraphSageSource>(options, *sage);
  InputFiles files(options.input, scratch_folder(options));
  if (!files.has("adj_full.npz")) {
    throw InputError(files.path().string(), "",
                     "holds neither adj_full.npz (GraphSAINT) nor PREFIX-G.json (GraphSAGE)");
  }
  return std::make_unique<GraphSaintSource>(options, std::move(files));
}

}  // namespace strata
