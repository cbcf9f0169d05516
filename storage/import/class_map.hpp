// JSON maps that GraphSAINT and GraphSAGE keep beside their graphs.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "storage/import/input_files.hpp"
#include "storage/import/json_reader.hpp"
#include "storage/import/source.hpp"

namespace strata {

// The number of the node that a key of a map means; fails through `json` when there is none.
using ResolveNode = std::function<NodeId(const JsonReader& json, const std::string& key)>;

// {"node": class} or {"node": [0, 1, ...]}. Nodes that are not named are unlabelled.
[[nodiscard]] ImportedLabels read_class_map(const InputFile& file, std::uint64_t nodes, const ResolveNode& resolve,
                                            MemoryBudget& budget);

// "17" as a node below `nodes`.
[[nodiscard]] NodeId resolve_number(const JsonReader& json, const std::string& key, std::uint64_t nodes);
// The next value, an integer, as a node below `nodes`.
[[nodiscard]] NodeId take_node(JsonReader& json, std::uint64_t nodes);

}  // namespace strata
