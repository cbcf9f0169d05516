// Rows that a pass reads, wherever they lie: in the order of the pass itself, or in that of another layer's map.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/row_map.hpp"
#include "kernels/base/types.hpp"
#include "storage/buffer_manager.hpp"

namespace strata {

// A node without a row reads as zeros.
struct RowSource {
  RowSource() = default;
  // Row i belongs to the pass's row i.
  RowSource(const RowStore& rows) : store(&rows) {}
  // Rows by node: `rows` holds the map's train part, `others` its eval part; null: nobody has rows for those nodes, as
  // for gradients, which evaluation has none of.
  RowSource(const RowStore& rows, const RowMap& order, const RowStore* others)
      : store(&rows), map(&order), eval(others) {}
  [[nodiscard]] explicit operator bool() const { return store != nullptr; }

  const RowStore* store = nullptr;
  const RowMap* map = nullptr;
  const RowStore* eval = nullptr;
};

// The rows that a pass works on: a part of a layer's map, or some rows of it.
class PassRows {
 public:
  // list: ascending rows of the train part, or null for all of `part`.
  PassRows(const RowMap& map, RowPart part, const std::vector<std::uint32_t>* list = nullptr)
      : map_(&map), part_(part), list_(list) {}

  [[nodiscard]] std::size_t count() const { return list_ != nullptr ? list_->size() : map_->part(part_).size(); }
  [[nodiscard]] std::size_t tiles() const { return divide_up(count(), kChunkRows); }
  [[nodiscard]] bool whole_chunks() const { return list_ == nullptr; }
  [[nodiscard]] const RowMap& map() const { return *map_; }
  [[nodiscard]] RowPart part() const { return part_; }
  // Of tile t: rows of the list (whole_chunks() is false), and nodes; `storage` may back the result.
  [[nodiscard]] std::span<const std::uint32_t> rows(std::size_t t) const;
  [[nodiscard]] std::span<const NodeId> nodes(std::size_t t, std::vector<NodeId>& storage) const;

 private:
  const RowMap* map_;
  RowPart part_;
  const std::vector<std::uint32_t>* list_;
};

// Tile t's rows; nodes: as PassRows gives them. out: nodes.size() rows or more.
template <class T>
void read_tile(const RowSource& source, const PassRows& rows, std::size_t t, std::span<const NodeId> nodes,
               MatrixView<T> out);
// The rows of up to kChunkRows ascending nodes, columns from panel `first_panel` on as far as `out` goes. source.map
// null: row i is node i.
template <class T>
void read_nodes(const RowSource& source, std::span<const NodeId> nodes, MatrixView<T> out, std::size_t first_panel = 0);

// The chunks of source.store that the pass reads, in its order; each once where it is read by neighbouring tiles.
[[nodiscard]] std::vector<std::uint32_t> chunks_read(const RowSource& source, const PassRows& rows);

}  // namespace strata
