// Labels beside an edge list, in the four forms of snap_layout.hpp, by the ids of the edge list.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "storage/import/id_table.hpp"
#include "storage/import/snap_layout.hpp"
#include "storage/import/source.hpp"

namespace strata {

// Calls visit with every id that a label file names (not those of communities).
void visit_label_ids(const InputFile& file, LabelKind kind, const std::function<void(std::uint64_t id)>& visit);

// Classes are the distinct labels, in numeric order when all are integers, else in that of their bytes; -1, "nan" and
// nothing mean unlabelled. Members of a community or group have it as one of several labels; nodes without any are
// unlabelled. InputError: a node labelled twice, an id that is not in `ids`, no label at all.
[[nodiscard]] ImportedLabels read_snap_labels(const InputFile& file, LabelKind kind, const IdTable& ids,
                                              MemoryBudget& budget);

}  // namespace strata
