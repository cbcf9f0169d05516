#include "engine/tile_range.hpp"

#include <algorithm>

#include "engine/session.hpp"
#include "engine/shard_work.hpp"
#include "engine/source_tiles.hpp"
#include "kernels/base/error.hpp"

namespace strata {

namespace {

// What of an output's chunks lies in [begin, end) when they follow `before` others.
OutputChunks part_of(std::size_t rows, std::size_t before, std::size_t begin, std::size_t end) {
  const std::size_t beyond = before + divide_up(rows, kChunkRows);
  const std::size_t from = std::clamp(begin, before, beyond), to = std::clamp(end, before, beyond);
  return {from - before, to - from};
}

std::string interval(const char* what, std::size_t first, std::size_t count) {
  return std::string(", ") + what + " " + std::to_string(first) + "-" + std::to_string(first + count - 1);
}

}  // namespace

NodeSpan nodes_of(const RowMap& map, std::size_t first_row, std::size_t rows) {
  NodeSpan span{static_cast<NodeId>(map.nodes()), 0};
  const auto widen = [&](std::size_t row) {
    NodeId node = 0;
    map.nodes(row, {&node, 1});
    span = {std::min(span.first, node), std::max(span.end, node + 1)};
  };
  widen(first_row);
  widen(first_row + rows - 1);
  // Rows ascend with their nodes within each part.
  const std::size_t train = map.train_rows();
  if (first_row < train && train < first_row + rows) {
    widen(train - 1);
    widen(train);
  }
  return span;
}

template <class T>
TileRange<T>::TileRange(const SpmmJob<T>& job, const TilePlan& plan, const ColumnGroup& columns,
                        std::size_t first_chunk)
    : job_(job),
      plan_(plan),
      columns_(columns),
      first_chunk_(first_chunk),
      chunks_(SourceTiles::chunks(*job.rows.sources, job.rows.options.sources_train_only)) {
  find_rows(first_chunk, first_chunk + plan.chunks);
  find_shards();
}

template <class T>
void TileRange<T>::find_rows(std::size_t begin, std::size_t end) {
  std::size_t before = 0;
  for (const SpmmOutput& output : job_.outputs) {
    const std::size_t all = output.out->shape().rows;
    const OutputChunks piece = part_of(all, before, begin, end);
    before += divide_up(all, kChunkRows);
    pieces_.push_back(piece);
    if (piece.count == 0) continue;
    const std::size_t first = destinations().first_row(output.part) + piece.first * kChunkRows;
    if (rows_ == 0) first_row_ = first;
    STRATA_ASSERT(first_row_ + rows_ == first);  // the eval part follows all of the train part
    rows_ += std::min(all, (piece.first + piece.count) * kChunkRows) - piece.first * kChunkRows;
  }
}

template <class T>
void TileRange<T>::find_shards() {
  for (std::size_t s = 0; s < infos().size(); ++s) {
    const auto beyond = static_cast<std::uint32_t>(divide_up(infos()[s].first_row + infos()[s].rows, kChunkRows));
    const auto end = std::lower_bound(chunks_.begin(), chunks_.end(), beyond);
    const auto items = static_cast<std::size_t>(end - chunks_.begin());
    if (items == (ends_.empty() ? 0 : ends_.back())) continue;
    shards_.push_back(s);
    ends_.push_back(items);
  }
}

// The edges source by source are those of the other direction.
template <class T>
const std::vector<ShardInfo>& TileRange<T>::infos() const {
  return job_.graph->infos(!job_.transposed);
}

template <class T>
std::size_t TileRange<T>::shard_of(std::size_t item) const {
  return static_cast<std::size_t>(std::upper_bound(ends_.begin(), ends_.end(), item) - ends_.begin());
}

template <class T>
std::string TileRange<T>::name() const {
  std::string text = job_.outputs.front().part == RowPart::train ? "multiply " : "multiply to evaluate ";
  text += job_.name;
  std::size_t all = 0;
  for (const SpmmOutput& output : job_.outputs) all += output.out->shape().rows;
  if (rows_ < all) text += interval("rows", first_row_, rows_);
  if (columns_.count < job_.source.cols) text += interval("columns", columns_.first, columns_.count);
  return text;
}

template <class T>
void TileRange<T>::note(Schedule::Scope& scope, const std::vector<SpmmSource>& x) const {
  for (const SpmmSource& part : x) {
    STRATA_ASSERT(part.store != nullptr);
    scope.use(*part.store, columns_.first_panel(), columns_.panels(), StoreUse::Kind::read);
  }
  note_outputs(scope);
  scope.gathers(plan_.bytes);
  scope.takes(job_.session.plan.spmm_overhead);
  ShardWork shards;
  for (const std::size_t s : shards_) shards.add(infos()[s]);
  shards.note(scope, job_.graph->resident(), !job_.rows.destinations->is_identity(), false);
  const double held = held_edges();
  const std::string width = std::to_string(columns_.count);
  scope.works("scatter edges " + width + " " + codec_name(job_.source.codec), held);
  scope.works("skipped edges", std::max(0.0, shards.edges - held));
  scope.works("copied bytes",
              static_cast<double>(job_.source.rows * encoded_row_bytes(job_.source.codec, columns_.count)));
  scope.works("rows out " + width, static_cast<double>(rows_));
}

template <class T>
void TileRange<T>::note_outputs(Schedule::Scope& scope) const {
  using Kind = StoreUse::Kind;
  const std::size_t panel = columns_.first_panel(), panels = columns_.panels();
  std::size_t before = 0;
  for (std::size_t o = 0; o < job_.outputs.size(); ++o) {
    const SpmmOutput& output = job_.outputs[o];
    const std::size_t first = before;  // of its chunks among all outputs'
    before += divide_up(output.out->shape().rows, kChunkRows);
    if (pieces_[o].count == 0) continue;
    const std::size_t first_range = first / plan_.chunks, last_range = (before - 1) / plan_.chunks;
    const StorePart part{pieces_[o].count, first_chunk_ / plan_.chunks - first_range, last_range - first_range + 1};
    if (output.add && output.add.map != nullptr) {
      scope.use(*output.add.store, panel, panels, Kind::read, true, added_chunks(o).size());
    } else if (output.add && !output.in_place()) {
      scope.use_part(*output.add.store, panel, panels, Kind::read, part);
    }
    scope.use_part(*output.out, panel, panels, output.in_place() ? Kind::update : Kind::overwrite, part);
  }
}

template <class T>
std::vector<std::uint32_t> TileRange<T>::added_chunks(std::size_t o) const {
  const SpmmOutput& output = job_.outputs[o];
  const OutputChunks& piece = pieces_[o];
  std::size_t first = piece.first * kChunkRows;
  std::size_t end = std::min<std::size_t>(output.out->shape().rows, (piece.first + piece.count) * kChunkRows);
  if (output.add.map != nullptr) {
    const NodeSpan span = nodes_of(destinations(), destinations().first_row(output.part) + first, end - first);
    first = output.add.map->part(RowPart::train).rank(span.first);
    end = output.add.map->part(RowPart::train).rank(span.end);
  }
  std::vector<std::uint32_t> chunks;
  for (std::size_t chunk = first / kChunkRows; chunk * kChunkRows < end; ++chunk) {
    chunks.push_back(static_cast<std::uint32_t>(chunk));
  }
  return chunks;
}

// Rows of the range among a shard's nodes.
template <class T>
std::size_t TileRange<T>::held_rows(const ShardInfo& info) const {
  std::size_t count = 0;
  for (const RowPart part : {RowPart::train, RowPart::eval}) {
    const NodeSet& set = destinations().part(part);
    const std::size_t base = destinations().first_row(part);
    const std::size_t begin = std::max<std::size_t>(base + set.rank(info.first_row), first_row_);
    const std::size_t end = std::min<std::size_t>(base + set.rank(info.first_row + info.rows), first_row_ + rows_);
    count += end > begin ? end - begin : 0;
  }
  return count;
}

// Edges from rows of x into the range, as far as counts tell. Forward all sources of a row are there; backward those
// only that have a gradient.
template <class T>
double TileRange<T>::held_edges() const {
  double sum = 0;
  for (const ShardInfo& info : job_.graph->infos(job_.transposed)) {
    sum += static_cast<double>(info.edges) * static_cast<double>(held_rows(info)) / std::max<double>(info.rows, 1);
  }
  const double there = static_cast<double>(job_.source.rows) / static_cast<double>(job_.session.nodes());
  return job_.rows.options.closed ? sum : sum * there;
}

template class TileRange<float>;
template class TileRange<double>;

}  // namespace strata
