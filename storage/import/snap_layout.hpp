// Which file of a SNAP set is what, by the names that SNAP, the MUSAE sets and the ASU repository give them.
#pragma once

#include <string>
#include <vector>

#include "storage/import/input_files.hpp"
#include "storage/import/options.hpp"

namespace strata {

enum class LabelKind : std::uint8_t {
  none,
  lines,        // "node label", one node a line
  table,        // csv with a header: a column of ids, the label in the last column
  memberships,  // "node,group", a node may have several
  communities,  // one community a line: the ids of its nodes
};

struct SnapLayout {
  InputFile edges;
  InputFile labels;  // or communities
  LabelKind label_kind = LabelKind::none;
  InputFile features;  // JSON: {"node": [indices]}
  [[nodiscard]] std::vector<InputFile> all() const;
};

// Files named by options come first; else --input is the edge list, or a directory or archive in which every part has
// one candidate. InputError names the candidates when there are several, or none for the edges.
[[nodiscard]] SnapLayout find_snap_layout(const ImportOptions& options);

}  // namespace strata
