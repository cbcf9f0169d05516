#include "engine/shard_rows.hpp"

#include <algorithm>
#include <functional>

#include "kernels/base/error.hpp"

namespace strata {

namespace {
constexpr std::size_t kPiece = 16384;  // columns of a task
}

ShardRows::ShardRows(const Shard& shard, const RowMap& sources, const RowMap& destinations,
                     const ShardRowsOptions& options, Workers* workers, MemoryBudget& budget)
    : shard_(&shard) {
  const ShardInfo& info = shard.info();
  const NodeSet& wanted = destinations.part(options.part);
  const NodeId before = wanted.rank(info.first_row);
  count_ = wanted.rank(info.first_row + info.rows) - before;
  first_output_ = destinations.first_row(options.part) + before;
  if (count_ > 0 && count_ < info.rows) {
    row_list_ = Array<std::uint32_t>(budget, count_, "the wanted rows of shard " + info.file);
    wanted.members_in(info.first_row, info.rows, row_list_.span());
  }
  if (count_ > 0 && !sources.is_identity()) fill_to_row(sources, options, workers, budget);
}

void ShardRows::fill_to_row(const RowMap& sources, const ShardRowsOptions& options, Workers* workers,
                            MemoryBudget& budget) {
  const std::span<const NodeId> ids = shard_->locals();
  to_row_ = Array<std::uint32_t>(budget, ids.size(), "rows of the columns of shard " + shard_->info().file);
  const auto fill = [&](std::size_t piece) {
    const std::size_t first = piece * kPiece, count = std::min(kPiece, ids.size() - first);
    sources.rows_of(ids.subspan(first, count), options.sources_train_only, to_row_.span().subspan(first, count));
  };
  const std::size_t pieces = divide_up(ids.size(), kPiece);
  if (workers != nullptr) {
    workers->for_each(pieces, fill);
  } else {
    for (std::size_t piece = 0; piece < pieces; ++piece) fill(piece);
  }
  may_skip_ = !options.closed && std::find(to_row_.begin(), to_row_.end(), kNoRow) != to_row_.end();
}

SparseRows ShardRows::rows(std::size_t first, std::size_t count) const {
  STRATA_ASSERT(first + count <= count_);
  SparseRows rows = row_list_.empty() ? shard_->rows(first, count) : shard_->rows();
  if (!row_list_.empty()) {
    rows.rows = count;
    rows.row_list = row_list_.data() + first;
  }
  if (!to_row_.empty()) rows.to_row = to_row_.data();
  rows.may_skip = may_skip_;
  return rows;
}

std::uint64_t ShardRows::memory_bytes(const ShardInfo& info, const RowMap& sources, const RowMap& destinations) {
  const auto pages = [](std::uint64_t count) { return round_up(count * sizeof(std::uint32_t), kBlockAlignment); };
  return (sources.is_identity() ? 0 : pages(info.rows + info.halo)) +
         (destinations.is_identity() ? 0 : pages(info.rows));
}

}  // namespace strata
