// One shard's edges between the rows of two layers: where each column lies among the source layer's rows, and which of
// the shard's rows the destination layer has. Where a layer has all nodes it is the shard's own table and nothing is
// filled.
#pragma once

#include <span>
#include <vector>

#include "engine/row_map.hpp"
#include "engine/workers.hpp"
#include "storage/shard.hpp"

namespace strata {

struct ShardRowsOptions {
  RowPart part = RowPart::train;    // of the destinations: which rows are wanted
  bool sources_train_only = false;  // x holds no row of the sources' D_k
  // Every source of a wanted row (and the row itself) is held: forward passes between neighbouring layers' maps. Not so
  // for the transpose, where gradients come from those destinations only that have any.
  bool closed = true;
  // Of the rows of x: each column's row and scale are wanted side by side, too (SparseRows::scaled); null: not.
  const float* source_scale = nullptr;
};

// What the tables of shards that come and go are made of: the next one's from the last one's. Outlives them.
struct ShardSpares {
  SpareMemory ids, scaled;  // of one size each
};

class ShardRows {
 public:
  // workers: null for serial. The shard and the maps must outlive this. Takes 4 bytes per column of the shard unless
  // the sources are all nodes, 8 more with source_scale, and 4 per wanted row unless all of the shard's rows are.
  ShardRows(const Shard& shard, const RowMap& sources, const RowMap& destinations, const ShardRowsOptions& options,
            Workers* workers, MemoryBudget& budget, ShardSpares* spares = nullptr);

  // Wanted rows of the shard; they are the rows first_output(), first_output() + 1, ... of the destinations' map.
  [[nodiscard]] std::size_t count() const { return count_; }
  [[nodiscard]] std::uint32_t first_output() const { return first_output_; }
  // Wanted rows [first, first + count), for spmm over rows of x in the order of the sources' map. Valid until `space`
  // and `list` are used again. What lies between the first and the last of them is decoded, so ask for rows that are
  // near (run_end()).
  [[nodiscard]] SparseRows rows(std::size_t first, std::size_t count, EdgeSpace& space,
                                std::vector<std::uint32_t>& list) const;
  // One past the last of the wanted rows [first, last) that lies in the same chunk of the shard as the first.
  [[nodiscard]] std::size_t run_end(std::size_t first, std::size_t last) const;

  // By column of the shard; kNoRow where x has none.
  [[nodiscard]] std::span<const std::uint32_t> to_row() const {
    return to_row_.empty() ? shard_->locals() : std::span<const std::uint32_t>(to_row_.span());
  }
  // Wanted rows as rows of the shard, ascending; empty when all are wanted.
  [[nodiscard]] std::span<const std::uint32_t> row_list() const { return row_list_.span(); }
  [[nodiscard]] bool may_skip() const { return may_skip_; }

  // Bytes it takes for a shard at most, whatever the maps.
  [[nodiscard]] static std::uint64_t memory_bytes(const ShardInfo& info, bool scaled);

 private:
  void fill_to_row(const RowMap& sources, const ShardRowsOptions& options, Workers* workers);
  void fill_scaled(const float* source_scale);

  const Shard* shard_;
  SpareArray<std::uint32_t> to_row_;
  SpareArray<ScaledRow> scaled_;
  Array<std::uint32_t> row_list_;
  std::size_t count_ = 0;
  std::uint32_t first_output_ = 0;
  bool may_skip_ = false;
};

}  // namespace strata
