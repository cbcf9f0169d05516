#include "engine/tile_sweep.hpp"

#include <algorithm>

#include "engine/read_ahead.hpp"
#include "engine/session.hpp"
#include "engine/spmm_finish.hpp"
#include "kernels/base/error.hpp"
#include "kernels/spmm_scatter.hpp"

namespace strata {

template <class T>
TileSweep<T>::TileSweep(const SpmmJob<T>& job, const TileRange<T>& range, std::byte* memory)
    : job_(job),
      session_(job.session),
      range_(range),
      every_node_(RowMap::identity(job.session.nodes())),
      sums_(reinterpret_cast<T*>(memory), range.rows(), range.columns().count),
      units_(tile_units(range.rows(), range.columns().count, job.session.workers.threads())),
      open_(range.shards().size()) {
  for (const TileUnit& unit : units_) {
    spans_.push_back(nodes_of(destinations(), range.first_row() + unit.first_row, unit.rows));
  }
}

template <class T>
void TileSweep<T>::run(const std::vector<SpmmSource>& x) {
  clear();
  scatter(x);
  for (std::size_t o = 0; o < job_.outputs.size(); ++o) finish(o);
}

template <class T>
void TileSweep<T>::clear() {
  constexpr std::size_t kPiece = std::size_t{1} << 16;
  const std::size_t values = sums_.rows * sums_.cols;
  session_.workers.for_each(divide_up(values, kPiece), [&](std::size_t i) {
    std::fill_n(sums_.data + i * kPiece, std::min(kPiece, values - i * kPiece), T{0});
  });
}

template <class T>
void TileSweep<T>::scatter(const std::vector<SpmmSource>& x) {
  const ColumnGroup& columns = range_.columns();
  SourceTiles tiles(x, *job_.rows.sources, job_.rows.options.sources_train_only, columns);
  // The columns of a shard of sources are destinations.
  ShardStream<T> stream(*job_.graph, !job_.transposed, {&destinations(), &every_node_, {}}, range_.shards(),
                        session_.budget, session_.shards_ahead(), spares_);
  ReadAhead ahead(session_.options.prefetch);
  for (const SpmmSource& source : x) ahead.add(*source.store, columns.first_panel(), columns.panels());
  ScratchMemory::Use scratch(session_.scratch);
  std::vector<Slot> slots;
  for (std::size_t s = 0; s < session_.workers.slots(); ++s) {
    const auto memory = scratch.take<std::byte>(s, kChunkRows * tiles.row_bytes());
    slots.push_back({memory, EdgeSpace(session_.budget), {}, {}, {}});
  }
  scale_ = session_.scatter_scale(*job_.graph, job_.transposed, destinations());
  std::size_t opened = 0;
  session_.workers.in_turns(range_.chunks().size(),
                            {.before =
                                 [&](std::size_t item) {
                                   while (opened <= range_.shard_of(item)) open_[opened++] = stream.next();
                                   ahead.advance();
                                 },
                             .work = [&](std::size_t item, std::size_t slot) { load(item, tiles, slots[slot]); },
                             .count = units_.size(),
                             .turn =
                                 [&](std::size_t item, std::size_t slot, std::size_t unit) {
                                   add(item, slots[slot], tiles.row_bytes(), unit);
                                   const std::size_t shard = range_.shard_of(item);
                                   if (unit + 1 == units_.size() && item + 1 == range_.end_of(shard))
                                     open_[shard].reset();
                                 }});
}

// The rows of a chunk of nodes, and their edges.
template <class T>
void TileSweep<T>::load(std::size_t item, SourceTiles& tiles, Slot& slot) const {
  const std::size_t shard = range_.shard_of(item), chunk = range_.chunks()[item];
  const ShardInfo& info = job_.graph->infos(!job_.transposed)[range_.shards()[shard]];
  const std::size_t first = chunk * kChunkRows - info.first_row;
  tiles.load(chunk, slot.x.data(), slot.rows);
  const std::size_t count = std::min<std::size_t>(kChunkRows, info.rows - first);
  slot.edges = open_[shard]->rows->rows(first, count, slot.space, slot.list);
  slot.edges.rows = slot.rows.count;
  slot.edges.row_list = slot.rows.list.empty() ? nullptr : slot.rows.list.data();
}

template <class T>
void TileSweep<T>::add(std::size_t item, const Slot& slot, std::size_t row_bytes, std::size_t u) const {
  const std::size_t s = range_.shard_of(item);
  const TileUnit& unit = units_[u];
  const std::vector<Shard>* resident = open_[s]->own ? nullptr : &job_.graph->open_shards(!job_.transposed);
  const Shard& shard = resident == nullptr ? *open_[s]->own : (*resident)[range_.shards()[s]];
  const std::span<const NodeId> nodes = shard.locals();
  const auto column = [&](NodeId node) {
    return static_cast<std::uint32_t>(std::lower_bound(nodes.begin(), nodes.end(), node) - nodes.begin());
  };
  const HeldRows held{column(spans_[u].first), column(spans_[u].end),
                      static_cast<std::uint32_t>(range_.first_row() + unit.first_row)};
  const Codec codec = job_.source.codec;
  const EncodedRows x{codec, slot.x.data() + encoded_row_bytes(codec, unit.first_column), slot.edges.rows, unit.columns,
                      row_bytes};
  cpu::spmm_scatter<T>(slot.edges, scale_, x, held,
                       {sums_.row(unit.first_row) + unit.first_column, unit.rows, unit.columns, sums_.stride});
}

template <class T>
void TileSweep<T>::finish(std::size_t o) {
  const SpmmOutput& output = job_.outputs[o];
  const OutputChunks& piece = range_.piece(o);
  if (piece.count == 0) return;
  const ColumnGroup& columns = range_.columns();
  const std::size_t first = destinations().first_row(output.part) + piece.first * kChunkRows - range_.first_row();
  const SpmmFinish<T> finish(output, destinations(), columns, !output.in_place());
  ReadAhead ahead(session_.options.prefetch);
  if (output.add) ahead.add(*output.add.store, columns.first_panel(), columns.panels(), range_.added_chunks(o));
  ScratchMemory::Use scratch(session_.scratch);
  std::vector<FinishSlot> slots;
  for (std::size_t s = 0; s < session_.workers.slots(); ++s) {
    slots.push_back({scratch.take<T>(s, finish.added_values()), {}});
  }
  const auto work = [&](std::size_t i, std::size_t slot) {
    const std::size_t chunk = piece.first + i, rows = output.out->shape().chunk_rows(chunk);
    finish.store(chunk, sums_.rows_range(first + i * kChunkRows, rows), slots[slot].added, slots[slot].nodes);
  };
  session_.workers.ordered(piece.count, {.before = [&](std::size_t) { ahead.advance(); }, .work = work, .reduce = {}});
}

template class TileSweep<float>;
template class TileSweep<double>;

}  // namespace strata
