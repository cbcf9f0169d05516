// What is known about an OGB node set besides its files: the row of a master.csv beside it, or OGB's own published
// table.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace strata {

struct OgbEntry {
  std::string origin;  // where this was found, for messages
  std::uint64_t tasks = 0;
  std::uint64_t classes = 0;
  std::string metric;  // "acc", "rocauc", ...
  bool add_inverse_edge = false;
  bool has_node_features = true;
  std::string split;
  bool heterogeneous = false;
  bool binary = false;
};

// Looks for `directory`'s name, with hyphen or underscore, under the set's name or its download name: first in
// master.csv in the folder that holds the directory, then among OGB's sets. Empty when it is in neither.
[[nodiscard]] std::optional<OgbEntry> find_ogb_entry(const std::filesystem::path& directory);

}  // namespace strata
