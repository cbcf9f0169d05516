#include "engine/shard_rows.hpp"

#include <algorithm>
#include <functional>

#include "kernels/base/error.hpp"

namespace strata {

namespace {
constexpr std::size_t kPiece = 16384;  // columns of a task
}

ShardRows::ShardRows(const Shard& shard, const RowMap& sources, const RowMap& destinations,
                     const ShardRowsOptions& options, Workers* workers, MemoryBudget& budget, ShardSpares* spares)
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
  if (count_ == 0) return;
  const std::string what = "rows of the columns of shard " + info.file;
  const std::size_t columns = shard.locals().size();
  if (!sources.is_identity()) {
    to_row_ = SpareArray<std::uint32_t>(budget, columns, what, spares != nullptr ? &spares->ids : nullptr);
    fill_to_row(sources, options, workers);
  }
  if (options.source_scale == nullptr) return;
  scaled_ = SpareArray<ScaledRow>(budget, columns, what, spares != nullptr ? &spares->scaled : nullptr);
  fill_scaled(options.source_scale);
}

void ShardRows::fill_to_row(const RowMap& sources, const ShardRowsOptions& options, Workers* workers) {
  const std::span<const NodeId> ids = shard_->locals();
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

void ShardRows::fill_scaled(const float* source_scale) {
  const std::span<const std::uint32_t> rows = to_row();
  for (std::size_t column = 0; column < rows.size(); ++column) {
    const std::uint32_t row = rows[column];
    scaled_[column] = {row, row == kNoRow ? 0 : source_scale[row]};
  }
}

SparseRows ShardRows::rows(std::size_t first, std::size_t count, EdgeSpace& space,
                           std::vector<std::uint32_t>& list) const {
  STRATA_ASSERT(count > 0 && first + count <= count_);
  const std::size_t from = row_list_.empty() ? first : row_list_[first];
  const std::size_t to = row_list_.empty() ? first + count : row_list_[first + count - 1] + std::size_t{1};
  const std::size_t base = from / kSegmentRows * kSegmentRows;
  SparseRows rows = shard_->rows(base, to - base, space);
  if (base != first || to - base != count || !row_list_.empty()) {
    list.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      list[i] = static_cast<std::uint32_t>((row_list_.empty() ? first + i : row_list_[first + i]) - base);
    }
    rows.rows = count;
    rows.row_list = list.data();
  }
  if (!to_row_.empty()) rows.to_row = to_row_.data();
  if (!scaled_.empty()) rows.scaled = scaled_.data();
  rows.may_skip = may_skip_;
  return rows;
}

std::size_t ShardRows::run_end(std::size_t first, std::size_t last) const {
  if (row_list_.empty()) return std::min(last, (first / kChunkRows + 1) * kChunkRows);
  const std::uint32_t* const beyond =
      std::lower_bound(row_list_.data() + first, row_list_.data() + last,
                       static_cast<std::uint32_t>((row_list_[first] / kChunkRows + 1) * kChunkRows));
  return static_cast<std::size_t>(beyond - row_list_.data());
}

std::uint64_t ShardRows::memory_bytes(const ShardInfo& info, bool scaled) {
  const std::uint64_t columns = info.rows + info.halo;
  return round_up(columns * sizeof(std::uint32_t), kBlockAlignment) +
         round_up(info.rows * sizeof(std::uint32_t), kBlockAlignment) +
         (scaled ? round_up(columns * sizeof(ScaledRow), kBlockAlignment) : 0);
}

}  // namespace strata
