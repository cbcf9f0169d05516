// The binary layout: raw/data.npz (edge_index, num_nodes_list, num_edges_list, node_*, edge_*) and raw/node-label.npz.
#include <algorithm>
#include <utility>

#include "kernels/base/error.hpp"
#include "storage/import/npy_arrays.hpp"
#include "storage/import/ogb_source.hpp"

namespace strata {
namespace {

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

void check_keys(const ArraySet& data) {
  for (const char* key : {"edge_index", "num_nodes_list", "num_edges_list"}) {
    if (!data.has(key)) throw InputError(data.path().string(), "", "lacks the array " + std::string(key));
  }
  for (const std::string& name : data.members()) {
    const bool known = name == "edge_index.npy" || name == "num_nodes_list.npy" || name == "num_edges_list.npy" ||
                       name.rfind("node_", 0) == 0 || name.rfind("edge_", 0) == 0;
    if (!known) throw InputError(data.path().string(), "member " + name, "is not part of OGB's layout");
  }
}

}  // namespace

OgbNpzSource::OgbNpzSource(const ImportOptions& options, InputFiles files)
    : OgbSource(options, std::move(files)), data_(files_, "raw/data.npz") {
  const ArraySet& data = data_;
  check_keys(data);
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
    throw InputError(raw("data.npz").place(), "", "lacks node_feat, but " + entry_->origin + " says it has features");
  }
  const bool found = data.has("edge_feat");
  announce_edge_features(options, found, found ? edge_feature_columns(data, "edge_feat", facts_.edges) : 0,
                         data.place("edge_feat"));
  raw_files_.push_back(raw("data.npz"));
  if (raw("node-label.npz").exists()) raw_files_.push_back(raw("node-label.npz"));
}

void OgbNpzSource::read_edges(MemoryBudget& budget, const EdgeSink& sink) {
  // nodes 0 would mean "unknown" below; a graph without nodes and with edges is refused by the id check instead.
  if (facts_.edges != 0 && facts_.nodes == 0) throw InputError(raw("data.npz").place(), "", "has edges but no nodes");
  read_edge_arrays(data_, "edge_index", "", facts_.nodes, budget, sink);
}

void OgbNpzSource::read_features(MemoryBudget& budget, const RowSink& sink) {
  if (facts_.feature_dim == 0) return;
  if (!edge_means_) return read_feature_array(data_, "node_feat", facts_.nodes, budget, sink);
  if (!means_) means_ = average_edge_array(*this, both_ways_, data_, "edge_feat", zero_nan_, means_budget_, budget);
  means_->read(budget, sink);
}

ImportedLabels OgbNpzSource::read_labels(MemoryBudget& budget) {
  if (!raw("node-label.npz").exists()) return {};
  const ArraySet arrays(files_, "raw/node-label.npz");
  if (!arrays.has("node_label")) throw InputError(arrays.path().string(), "", "lacks the array node_label");
  return finish_labels(read_label_array(arrays, "node_label", facts_.nodes, known_classes(), budget));
}

}  // namespace strata
