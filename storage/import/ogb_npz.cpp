// The binary layout: raw/data.npz (edge_index, num_nodes_list, num_edges_list, node_*, edge_*) and raw/node-label.npz.
#include <algorithm>
#include <utility>

#include "kernels/base/error.hpp"
#include "storage/import/npy_arrays.hpp"
#include "storage/import/ogb_source.hpp"

namespace strata {
namespace {

namespace fs = std::filesystem;

std::uint64_t single_count(const ArraySet& arrays, const std::string& key) {
  NpyReader reader = arrays.open(key);
  if (reader.header().elements() != 1) {
    arrays.fail(key, "",
                "lists " + std::to_string(reader.header().elements()) +
                    " graphs: only sets of a single graph can be converted");
  }
  std::int64_t value = 0;
  reader.read_as_int64({&value, 1});
  if (value < 0) arrays.fail(key, "", "the count " + std::to_string(value) + " is negative");
  return static_cast<std::uint64_t>(value);
}

void check_keys(const NpzArchive& archive) {
  for (const char* key : {"edge_index", "num_nodes_list", "num_edges_list"}) {
    if (!archive.has_array(key)) throw InputError(archive.path(), "", "lacks the array " + std::string(key));
  }
  for (const ZipMember& member : archive.members()) {
    const std::string& name = member.name;
    const bool known = name == "edge_index.npy" || name == "num_nodes_list.npy" || name == "num_edges_list.npy" ||
                       name.rfind("node_", 0) == 0 || name.rfind("edge_", 0) == 0;
    if (!known) throw InputError(archive.path(), "member " + name, "is not part of OGB's layout");
  }
}

}  // namespace

OgbNpzSource::OgbNpzSource(const ImportOptions& options, fs::path directory)
    : OgbSource(options, std::move(directory)) {
  check_keys(NpzArchive(raw("data.npz")));
  const ArraySet data(raw("data.npz"));
  if (entry_ && entry_->add_inverse_edge) {
    throw InputError(entry_->origin, "", "asks for add_inverse_edge, which OGB does not allow for binary sets");
  }
  facts_.nodes = single_count(data, "num_nodes_list");
  const std::uint64_t listed = single_count(data, "num_edges_list");
  facts_.edges = edge_count(data, "edge_index");
  if (facts_.edges != listed) {
    data.fail("edge_index", "",
              "holds " + std::to_string(facts_.edges) + " edges, but num_edges_list says " + std::to_string(listed));
  }
  if (data.has("node_feat")) {
    facts_.feature_dim = feature_columns(data, "node_feat", facts_.nodes);
    facts_.feature_place = data.place("node_feat");
  } else if (entry_ && entry_->has_node_features) {
    throw InputError(raw("data.npz").string(), "", "lacks node_feat, but " + entry_->origin + " says it has features");
  }
  raw_files_.push_back(raw("data.npz"));
  if (fs::exists(raw("node-label.npz"))) raw_files_.push_back(raw("node-label.npz"));
}

void OgbNpzSource::read_edges(MemoryBudget& budget, const EdgeSink& sink) {
  // nodes 0 would mean "unknown" below; a graph without nodes and with edges is refused by the id check instead.
  if (facts_.edges != 0 && facts_.nodes == 0) throw InputError(raw("data.npz").string(), "", "has edges but no nodes");
  read_edge_arrays(ArraySet(raw("data.npz")), "edge_index", "", facts_.nodes, budget, sink);
}

void OgbNpzSource::read_features(MemoryBudget& budget, const RowSink& sink) {
  if (facts_.feature_dim == 0) return;
  read_feature_array(ArraySet(raw("data.npz")), "node_feat", facts_.nodes, budget, sink);
}

ImportedLabels OgbNpzSource::read_labels(MemoryBudget& budget) {
  const fs::path path = raw("node-label.npz");
  if (!fs::exists(path)) return {};
  const ArraySet arrays(path);
  if (!arrays.has("node_label")) throw InputError(path.string(), "", "lacks the array node_label");
  return finish_labels(read_label_array(arrays, "node_label", facts_.nodes, known_classes(), budget));
}

}  // namespace strata
