// One pass of a product whose sums are held (tiled_spmm.hpp): which destinations and columns, what of x and of the
// graph streams past, and what the pass says of itself to the plan.
#pragma once

#include <vector>

#include "engine/schedule.hpp"
#include "engine/spmm_gather.hpp"
#include "engine/spmm_way.hpp"
#include "engine/tile_plan.hpp"

namespace strata {

// Nodes [first, end).
struct NodeSpan {
  NodeId first = 0, end = 0;
};
// Those that the rows [first_row, first_row + rows) of a map lie among; rows > 0.
[[nodiscard]] NodeSpan nodes_of(const RowMap& map, std::size_t first_row, std::size_t rows);

// Chunks [first, first + count) of an output.
struct OutputChunks {
  std::size_t first = 0, count = 0;
};

template <class T>
class TileRange {
 public:
  // Chunks [first_chunk, first_chunk + plan.chunks) of all outputs', as far as there are any. job and plan must outlive
  // this.
  TileRange(const SpmmJob<T>& job, const TilePlan& plan, const ColumnGroup& columns, std::size_t first_chunk);

  [[nodiscard]] std::string name() const;
  void note(Schedule::Scope& scope, const std::vector<SpmmSource>& x) const;

  [[nodiscard]] const ColumnGroup& columns() const { return columns_; }
  // Rows [first_row(), first_row() + rows()) of the destinations' map.
  [[nodiscard]] std::size_t first_row() const { return first_row_; }
  [[nodiscard]] std::size_t rows() const { return rows_; }
  [[nodiscard]] const OutputChunks& piece(std::size_t output) const { return pieces_[output]; }
  // Chunks of the store that the output adds.
  [[nodiscard]] std::vector<std::uint32_t> added_chunks(std::size_t output) const;

  // Chunks of nodes that have rows of x, ascending; the shards that they lie in; the shard (of that list) of an item
  // of chunks(), and one past its last item.
  [[nodiscard]] const std::vector<std::uint32_t>& chunks() const { return chunks_; }
  [[nodiscard]] const std::vector<std::size_t>& shards() const { return shards_; }
  [[nodiscard]] std::size_t shard_of(std::size_t item) const;
  [[nodiscard]] std::size_t end_of(std::size_t shard) const { return ends_[shard]; }

 private:
  [[nodiscard]] const RowMap& destinations() const { return *job_.rows.destinations; }
  [[nodiscard]] const std::vector<ShardInfo>& infos() const;
  void find_rows(std::size_t begin, std::size_t end);
  void find_shards();
  void note_outputs(Schedule::Scope& scope) const;
  [[nodiscard]] std::size_t held_rows(const ShardInfo& info) const;
  [[nodiscard]] double held_edges() const;

  const SpmmJob<T>& job_;
  const TilePlan& plan_;
  ColumnGroup columns_;
  std::size_t first_chunk_;
  std::vector<OutputChunks> pieces_;  // by output
  std::size_t first_row_ = 0, rows_ = 0;
  std::vector<std::uint32_t> chunks_;
  std::vector<std::size_t> shards_, ends_;
};

extern template class TileRange<float>;
extern template class TileRange<double>;

}  // namespace strata
