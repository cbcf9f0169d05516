// Rows of a row store to .npy in the order users know: ascending original id.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "engine/row_source.hpp"
#include "kernels/base/budget.hpp"
#include "storage/store.hpp"

namespace strata {

// The original ids that --predict or --embeddings names, ascending, without repeats: "splits" (train, valid and test),
// "test", "all", "none", or a file: .npy of integers, or text with one id a line, as the source's files call the nodes
// (Store::external_ids). InputError for ids that do not exist.
[[nodiscard]] Array<NodeId> select_nodes(const std::string& what, const Store& store, MemoryBudget& budget);

// values: float32 (ids, columns); ids: int64, what the source's files call those nodes. Streamed through a window of
// memory.
void export_rows(const RowSource& rows, std::span<const NodeId> original_ids, const Store& store,
                 const std::filesystem::path& values_path, const std::filesystem::path& ids_path, MemoryBudget& budget);

}  // namespace strata
