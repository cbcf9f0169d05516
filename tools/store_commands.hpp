// The commands of strata-store that are more than a few lines.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "storage/store.hpp"

namespace strata {

// --what graph, features, labels, splits; what is written is NumPy arrays in the original order of the nodes.
//   graph:    edge_index.npy (2, E) int64, sources then targets; edge_weight.npy (E,) float32 when there are weights
//   features: node_feat.npy (N, F) float32
//   labels:   node_label.npy (N,) int64, -1 where there is none; several labels a node: (N, C) int8, or float32 with
//   NaN in
//             the rows without labels
//   splits:   NAME.npy int64, ascending
struct ExportOptions {
  std::set<std::string> what;
  std::filesystem::path output;
  std::uint64_t memory = 0;  // bytes; features that do not fit are written in several passes
  bool force = false;        // replace existing files
  bool quiet = false;
};
void export_store(const Store& store, const ExportOptions& options);

// labels: a .npy in original order, as strata-convert --from npy takes it. splits: NAME=FILE, .npy of original ids or a
// mask.
struct AddOptions {
  std::string labels;
  std::vector<std::string> splits;
  std::uint64_t classes = 0;  // 0: as many as occur
  std::string metric;         // empty: the usual one of the task
  std::uint64_t memory = 0;
};
// Returns a line a person reads.
std::string add_to_store(const std::filesystem::path& store, const AddOptions& options);

}  // namespace strata
