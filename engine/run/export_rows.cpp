#include "engine/run/export_rows.hpp"

#include <algorithm>
#include <utility>

#include "engine/row_access.hpp"
#include "kernels/base/error.hpp"
#include "storage/npy.hpp"

namespace strata {

namespace {

// Rows being put in order: `order` holds (reordered id, place in the window), `values` the rows in their places.
struct Window {
  Array<std::uint64_t> order;
  Array<float> values;
};

// What must stay free for the blocks that are read.
constexpr std::uint64_t kLeftForBlocks = 4 * kChunkRows * kPanelColumns * sizeof(float);

// As many rows as an eighth of the budget holds, fewer when memory is scarce: the ids of a window lie all over the
// store, so every window is one pass over it.
Window make_window(std::size_t rows, std::size_t cols, MemoryBudget& budget) {
  const std::uint64_t row_bytes = cols * sizeof(float) + sizeof(std::uint64_t);
  std::size_t count =
      std::min<std::uint64_t>(rows, std::max<std::uint64_t>(kChunkRows, budget.limit() / 8 / row_bytes));
  for (;; count = divide_up(count, 2)) {
    try {
      const Reservation blocks = budget.reserve(kLeftForBlocks, "blocks of rows being exported");
      return {{budget, count, "rows being exported"}, {budget, count * cols, "rows being exported"}};
    } catch (const ResourceError&) {
      if (count <= kChunkRows) throw;
    }
  }
}

void fill_window(const RowSource& rows, std::span<const std::uint64_t> order, MatrixView<float> tile, float* values) {
  NodeId ids[kChunkRows];
  for (std::size_t first = 0; first < order.size(); first += kChunkRows) {
    const std::size_t count = std::min(kChunkRows, order.size() - first);
    for (std::size_t i = 0; i < count; ++i) ids[i] = static_cast<NodeId>(order[first + i] >> 32);
    read_nodes<float>(rows, {ids, count}, tile.rows_range(0, count));
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t place = order[first + i] & UINT32_MAX;
      std::copy_n(tile.row(i), tile.cols, values + place * tile.cols);
    }
  }
}

// external: what the source's files call them; empty when that is their number.
void write_ids(const std::filesystem::path& path, std::span<const NodeId> ids,
               std::span<const std::uint64_t> external) {
  NpyWriter writer(path, npy_type<std::int64_t>(), {ids.size()});
  std::int64_t piece[1024];
  for (std::size_t first = 0; first < ids.size(); first += std::size(piece)) {
    const std::size_t count = std::min(std::size(piece), ids.size() - first);
    for (std::size_t i = 0; i < count; ++i) {
      const NodeId id = ids[first + i];
      piece[i] = external.empty() ? std::int64_t{id} : static_cast<std::int64_t>(external[id]);
    }
    writer.append(std::span<const std::int64_t>(piece, count));
  }
  writer.commit();
}

}  // namespace

void export_rows(const RowSource& rows, std::span<const NodeId> original_ids, const Store& store,
                 const std::filesystem::path& values_path, const std::filesystem::path& ids_path,
                 MemoryBudget& budget) {
  const std::size_t cols = rows.store->shape().cols;
  NpyWriter writer(values_path, npy_type<float>(), {original_ids.size(), cols});
  if (!original_ids.empty()) {
    const Array<NodeId> reordered = store.reordered_ids(budget);
    const Window window = make_window(original_ids.size(), cols, budget);
    const Array<float> tile(budget, kChunkRows * cols, "tile of rows being exported");
    for (std::size_t first = 0; first < original_ids.size(); first += window.order.size()) {
      const std::size_t count = std::min(window.order.size(), original_ids.size() - first);
      const std::span<std::uint64_t> order = window.order.span().first(count);
      for (std::size_t i = 0; i < count; ++i) order[i] = std::uint64_t{reordered[original_ids[first + i]]} << 32 | i;
      std::sort(order.begin(), order.end());
      fill_window(rows, order, {tile.data(), kChunkRows, cols}, window.values.data());
      writer.append(std::span<const float>(window.values.data(), count * cols));
    }
  }
  writer.commit();
  const Array<std::uint64_t> external = store.external_ids(budget);
  write_ids(ids_path, original_ids, external.span());
}

}  // namespace strata
