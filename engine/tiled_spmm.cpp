#include "engine/tiled_spmm.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "engine/read_ahead.hpp"
#include "engine/session.hpp"
#include "engine/source_tiles.hpp"
#include "engine/spmm_finish.hpp"
#include "kernels/base/error.hpp"
#include "kernels/spmm_scatter.hpp"

namespace strata {

namespace {

// Nodes [first, end) that the rows [first_row, first_row + rows) of a map lie among.
struct NodeSpan {
  NodeId first = 0, end = 0;
};

NodeSpan nodes_of(const RowMap& map, std::size_t first_row, std::size_t rows) {
  NodeSpan span{static_cast<NodeId>(map.nodes()), 0};
  const auto widen = [&](std::size_t row) {
    NodeId node = 0;
    map.nodes(row, {&node, 1});
    span = {std::min(span.first, node), std::max(span.end, node + 1)};
  };
  // Ascending within each part.
  const std::size_t last = first_row + rows, train = map.train_rows();
  for (const std::size_t row : {first_row, last - 1}) widen(row);
  if (first_row < train && train < last) {
    widen(train - 1);
    widen(train);
  }
  return span;
}

// Chunks [first, first + count) of an output.
struct OutputChunks {
  std::size_t first = 0, count = 0;
};

// What of an output's chunks lies in [begin, end) when they follow `before` others.
OutputChunks part_of(std::size_t rows, std::size_t before, std::size_t begin, std::size_t end) {
  const std::size_t chunks = divide_up(rows, kChunkRows);
  const std::size_t from = std::clamp(begin, before, before + chunks), to = std::clamp(end, before, before + chunks);
  return {from - before, to - from};
}

}  // namespace

template <class T>
class TiledSpmm<T>::Range {
 public:
  // Chunks [begin, end) of all outputs'.
  Range(const TiledSpmm& spmm, const ColumnGroup& columns, std::size_t begin, std::size_t end)
      : job_(spmm.job_), session_(spmm.session_), every_node_(spmm.every_node_), columns_(columns) {
    std::size_t before = 0;
    for (const SpmmOutput& output : job_.outputs) {
      const std::size_t all = output.out->shape().rows;
      pieces_.push_back(part_of(all, before, begin, end));
      const OutputChunks& piece = pieces_.back();
      before += divide_up(all, kChunkRows);
      if (piece.count == 0) continue;
      if (rows_ == 0) first_row_ = destinations().first_row(output.part) + piece.first * kChunkRows;
      // The sums of an output begin where those of the one before end: the train part's last row is the eval part's
      // neighbour in the map.
      STRATA_ASSERT(first_row_ + rows_ == destinations().first_row(output.part) + piece.first * kChunkRows);
      rows_ += std::min(all, (piece.first + piece.count) * kChunkRows) - piece.first * kChunkRows;
    }
    chunks_ = SourceTiles::chunks(*job_.rows.sources, job_.rows.options.sources_train_only);
    const auto& infos = session_.graph.infos(!job_.transposed);
    for (std::size_t s = 0; s < infos.size(); ++s) {
      const auto end_of_shard = static_cast<std::uint32_t>(divide_up(infos[s].first_row + infos[s].rows, kChunkRows));
      const auto items = std::lower_bound(chunks_.begin(), chunks_.end(), end_of_shard) - chunks_.begin();
      if (items == (ends_.empty() ? 0 : ends_.back())) continue;
      shards_.push_back(s);
      ends_.push_back(items);
    }
  }

  [[nodiscard]] std::size_t rows() const { return rows_; }
  [[nodiscard]] std::size_t first_row() const { return first_row_; }
  [[nodiscard]] const OutputChunks& piece(std::size_t output) const { return pieces_[output]; }
  [[nodiscard]] std::uint64_t file_bytes() const {
    std::uint64_t sum = 0;
    for (const std::size_t s : shards_) sum += infos()[s].file_bytes;
    return sum;
  }
  // Of the shards, and of those the ones into held destinations, as far as it can be told from counts.
  [[nodiscard]] double edges_read() const {
    double sum = 0;
    for (const std::size_t s : shards_) sum += static_cast<double>(infos()[s].edges);
    return sum;
  }
  [[nodiscard]] double edges_held() const {
    const double sources = static_cast<double>(job_.source.rows) / static_cast<double>(session_.nodes());
    double sum = 0;
    for (const ShardInfo& info : session_.graph.infos(job_.transposed)) {
      const double held = static_cast<double>(rows_in(info));
      sum += static_cast<double>(info.edges) * held / std::max<double>(info.rows, 1);
    }
    // Forward the sources of a held destination are all there; backward only some nodes have gradients.
    return job_.rows.options.closed ? sum : sum * sources;
  }

  void run(const std::vector<SpmmSource>& x) {
    std::byte* const memory = session_.spmm_memory.buffer.data();
    sums_ = {reinterpret_cast<T*>(memory), rows_, columns_.count};
    clear();
    scatter(x);
    for (std::size_t o = 0; o < job_.outputs.size(); ++o) finish(o);
  }

 private:
  struct Slot {
    std::span<std::byte> x;
    EdgeSpace space;
    SourceTiles::Rows rows;
    SparseRows edges;
  };
  struct FinishSlot {
    std::span<T> added;
    std::vector<NodeId> nodes;
  };

  [[nodiscard]] const RowMap& destinations() const { return *job_.rows.destinations; }
  [[nodiscard]] const std::vector<ShardInfo>& infos() const { return session_.graph.infos(!job_.transposed); }
  [[nodiscard]] std::size_t shard_of(std::size_t item) const {
    const auto beyond = std::upper_bound(ends_.begin(), ends_.end(), static_cast<std::ptrdiff_t>(item));
    return static_cast<std::size_t>(beyond - ends_.begin());
  }

  // Held rows of a shard's nodes.
  [[nodiscard]] std::size_t rows_in(const ShardInfo& info) const {
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

  void clear() {
    const std::size_t values = rows_ * columns_.count, piece = std::size_t{1} << 16;
    session_.workers.for_each(divide_up(values, piece), [&](std::size_t i) {
      std::fill_n(sums_.data + i * piece, std::min(piece, values - i * piece), T{0});
    });
  }

  void scatter(const std::vector<SpmmSource>& x) {
    SourceTiles tiles(x, *job_.rows.sources, job_.rows.options.sources_train_only, columns_);
    const ProductRows columns{&destinations(), &every_node_, {}};  // the shard's columns are destinations here
    ShardStream<T> stream(session_.graph, !job_.transposed, columns, shards_, session_.budget,
                          session_.options.prefetch);
    ReadAhead ahead(session_.options.prefetch);
    for (const SpmmSource& source : x) ahead.add(*source.store, columns_.first_panel(), columns_.panels());
    ScratchMemory::Use scratch(session_.scratch);
    std::vector<Slot> slots;
    for (std::size_t s = 0; s < session_.workers.slots(); ++s) {
      slots.push_back({scratch.take<std::byte>(s, kChunkRows * tiles.row_bytes()), EdgeSpace(session_.budget), {}, {}});
    }
    units_ = tile_units(rows_, columns_.count, session_.workers.threads());
    spans_.clear();
    for (const TileUnit& unit : units_)
      spans_.push_back(nodes_of(destinations(), first_row_ + unit.first_row, unit.rows));
    scale_ = session_.scatter_scale(job_.transposed, destinations());
    open_.assign(shards_.size(), nullptr);
    std::size_t opened = 0;
    session_.workers.in_turns(chunks_.size(),
                              {.before =
                                   [&](std::size_t item) {
                                     while (opened <= shard_of(item)) open_[opened++] = stream.next();
                                     ahead.advance();
                                   },
                               .work = [&](std::size_t item, std::size_t slot) { load(item, tiles, slots[slot]); },
                               .count = units_.size(),
                               .turn =
                                   [&](std::size_t item, std::size_t slot, std::size_t unit) {
                                     add(item, slots[slot], tiles.row_bytes(), unit);
                                     const std::size_t s = shard_of(item);
                                     const bool last = static_cast<std::ptrdiff_t>(item) + 1 == ends_[s];
                                     if (last && unit + 1 == units_.size()) open_[s].reset();
                                   }});
  }

  // The rows of a chunk of nodes, and their edges.
  void load(std::size_t item, SourceTiles& tiles, Slot& slot) const {
    const std::size_t s = shard_of(item);
    const ShardInfo& info = infos()[shards_[s]];
    const std::size_t first = chunks_[item] * kChunkRows - info.first_row;
    tiles.load(chunks_[item], slot.x.data(), slot.rows);
    std::vector<std::uint32_t> whole;  // not used: all of the shard's rows are wanted
    slot.edges = open_[s]->rows->rows(first, std::min<std::size_t>(kChunkRows, info.rows - first), slot.space, whole);
    slot.edges.rows = slot.rows.count;
    slot.edges.row_list = slot.rows.list.empty() ? nullptr : slot.rows.list.data();
  }

  void add(std::size_t item, const Slot& slot, std::size_t row_bytes, std::size_t u) const {
    const std::size_t s = shard_of(item);
    const TileUnit& unit = units_[u];
    const Shard& shard = open_[s]->own ? *open_[s]->own : session_.graph.open_shards(!job_.transposed)[shards_[s]];
    const std::span<const NodeId> nodes = shard.locals();
    const auto column = [&](NodeId node) {
      return static_cast<std::uint32_t>(std::lower_bound(nodes.begin(), nodes.end(), node) - nodes.begin());
    };
    const HeldRows held{column(spans_[u].first), column(spans_[u].end),
                        static_cast<std::uint32_t>(first_row_ + unit.first_row)};
    const Codec codec = job_.source.codec;
    const EncodedRows x{codec, slot.x.data() + encoded_row_bytes(codec, unit.first_column), slot.edges.rows,
                        unit.columns, row_bytes};
    cpu::spmm_scatter<T>(slot.edges, scale_, x, held,
                         {sums_.row(unit.first_row) + unit.first_column, unit.rows, unit.columns, sums_.stride});
  }

  // Added to, rounded and written as the other way does it.
  void finish(std::size_t o) {
    const SpmmOutput& output = job_.outputs[o];
    const OutputChunks& piece = pieces_[o];
    if (piece.count == 0) return;
    const std::size_t offset =
        destinations().first_row(output.part) + piece.first * kChunkRows - first_row_;  // in the sums
    const SpmmFinish<T> finish(output, destinations(), columns_, !output.in_place());
    ReadAhead ahead(session_.options.prefetch);
    if (output.add) {
      ahead.add(*output.add.store, columns_.first_panel(), columns_.panels(),
                added_chunks(destinations(), output, piece));
    }
    ScratchMemory::Use scratch(session_.scratch);
    std::vector<FinishSlot> slots;
    for (std::size_t s = 0; s < session_.workers.slots(); ++s) {
      slots.push_back({scratch.take<T>(s, finish.added_values()), {}});
    }
    session_.workers.ordered(piece.count, {.before = [&](std::size_t) { ahead.advance(); },
                                           .work =
                                               [&](std::size_t i, std::size_t slot) {
                                                 const std::size_t chunk = piece.first + i;
                                                 const MatrixView<T> sums = sums_.rows_range(
                                                     offset + i * kChunkRows, output.out->shape().chunk_rows(chunk));
                                                 finish.store(chunk, sums, slots[slot].added, slots[slot].nodes);
                                               },
                                           .reduce = {}});
  }

 public:
  // Of output.add.store, those that belong to a piece of the output.
  static std::vector<std::uint32_t> added_chunks(const RowMap& destinations, const SpmmOutput& output,
                                                 const OutputChunks& piece) {
    std::size_t first = piece.first * kChunkRows;
    std::size_t end = std::min<std::size_t>(output.out->shape().rows, (piece.first + piece.count) * kChunkRows);
    if (output.add.map != nullptr) {
      const NodeSpan span = nodes_of(destinations, destinations.first_row(output.part) + first, end - first);
      first = output.add.map->part(RowPart::train).rank(span.first);
      end = output.add.map->part(RowPart::train).rank(span.end);
    }
    std::vector<std::uint32_t> chunks;
    for (std::size_t chunk = first / kChunkRows; chunk * kChunkRows < end; ++chunk) {
      chunks.push_back(static_cast<std::uint32_t>(chunk));
    }
    return chunks;
  }

 private:
  const SpmmJob<T>& job_;
  Session<T>& session_;
  const RowMap& every_node_;
  ColumnGroup columns_;
  std::vector<OutputChunks> pieces_;      // by output
  std::size_t first_row_ = 0, rows_ = 0;  // of the destinations' map
  std::vector<std::uint32_t> chunks_;     // of nodes that have rows of x
  std::vector<std::size_t> shards_;       // with such nodes
  std::vector<std::ptrdiff_t> ends_;      // of their items of chunks_
  MatrixView<T> sums_;
  std::vector<TileUnit> units_;
  std::vector<NodeSpan> spans_;  // of the units
  EdgeScale<T> scale_;
  std::vector<std::shared_ptr<const OpenShard>> open_;
};

template <class T>
TiledProduct TiledSpmm<T>::cut_of(const SpmmJob<T>& job) {
  TiledProduct product{
      job.source.cols, sizeof(T), {}, job.source.total_slot_bytes(), job.session.graph.file_bytes(!job.transposed)};
  for (const SpmmOutput& output : job.outputs) product.rows.push_back(output.out->shape().rows);
  return product;
}

template <class T>
TiledSpmm<T>::TiledSpmm(SpmmJob<T> job)
    : job_(std::move(job)),
      session_(job_.session),
      every_node_(RowMap::identity(session_.nodes())),
      product_(cut_of(job_)),
      plan_(plan_tiles(product_, session_.spmm_memory.gather_limit)) {
  if (!session_.schedule.recording()) session_.spmm_memory.hold(session_.budget, plan_.bytes);
}

template <class T>
void TiledSpmm<T>::take(std::size_t, MatrixView<const T>) {
  STRATA_ASSERT(false);  // taken_panels() is 0
}

template <class T>
void TiledSpmm<T>::run(const std::vector<SpmmSource>& x, bool taken) {
  STRATA_ASSERT(!taken);
  for (std::size_t column = 0; column < job_.source.cols; column += plan_.columns) {
    const ColumnGroup columns{column, std::min(plan_.columns, job_.source.cols - column)};
    for (std::size_t chunk = 0; chunk < product_.chunks(); chunk += plan_.chunks) run_range(x, columns, chunk);
  }
}

template <class T>
void TiledSpmm<T>::run_range(const std::vector<SpmmSource>& x, const ColumnGroup& columns, std::size_t first_chunk) {
  using Kind = StoreUse::Kind;
  const std::size_t end = std::min(product_.chunks(), first_chunk + plan_.chunks);
  Range range(*this, columns, first_chunk, end);
  std::string name = (job_.outputs.front().part == RowPart::train ? "multiply " : "multiply to evaluate ") + job_.name;
  if (plan_.chunks < product_.chunks()) {
    name += ", rows " + std::to_string(range.first_row()) + "-" + std::to_string(range.first_row() + range.rows() - 1);
  }
  if (plan_.columns < job_.source.cols) {
    name += ", columns " + std::to_string(columns.first) + "-" + std::to_string(columns.first + columns.count - 1);
  }
  Schedule::Scope scope(session_.schedule, session_.buffers, name);
  for (const SpmmSource& part : x) {
    scope.use(*part.store, columns.first_panel(), columns.panels(), Kind::read);
  }
  std::size_t before = 0;
  for (std::size_t o = 0; o < job_.outputs.size(); ++o) {
    const SpmmOutput& output = job_.outputs[o];
    const OutputChunks& piece = range.piece(o);
    const std::size_t chunks = divide_up(product_.rows[o], kChunkRows);
    const std::size_t at = before;
    before += chunks;
    if (piece.count == 0) continue;
    // The ranges that this output's chunks lie in.
    const std::size_t first_range = at / plan_.chunks, ranges = (before - 1) / plan_.chunks - first_range + 1;
    const StorePart part{piece.count, first_chunk / plan_.chunks - first_range, ranges};
    if (output.add && !output.in_place()) {
      const auto added = Range::added_chunks(*job_.rows.destinations, output, piece);
      if (output.add.map != nullptr) {
        scope.use(*output.add.store, columns.first_panel(), columns.panels(), Kind::read, true, added.size());
      } else {
        scope.use_part(*output.add.store, columns.first_panel(), columns.panels(), Kind::read, part);
      }
    }
    scope.use_part(*output.out, columns.first_panel(), columns.panels(),
                   output.in_place() ? Kind::update : Kind::overwrite, part);
  }
  scope.gathers(plan_.bytes);
  scope.takes(session_.plan.spmm_overhead);
  const double held = range.edges_held();
  scope.works("copied bytes",
              static_cast<double>(job_.source.rows * encoded_row_bytes(job_.source.codec, columns.count)));
  scope.works("scatter edges " + std::to_string(columns.count) + " " + codec_name(job_.source.codec), held);
  scope.works("skipped edges", std::max(0.0, range.edges_read() - held));
  scope.works("rows out " + std::to_string(columns.count), static_cast<double>(range.rows()));
  if (!session_.graph.resident()) scope.reads_graph(range.file_bytes());
  if (scope.begin()) range.run(x);
}

template class TiledSpmm<float>;
template class TiledSpmm<double>;

}  // namespace strata
