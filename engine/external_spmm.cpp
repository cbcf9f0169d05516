#include "engine/external_spmm.hpp"

#include <algorithm>
#include <utility>

#include "engine/row_access.hpp"
#include "engine/session.hpp"
#include "kernels/base/error.hpp"
#include "kernels/spmm.hpp"

namespace strata {

// The edges stream past once: for every chunk of the output, its rows' sums over the gathered columns.
template <class T>
class ExternalSpmm<T>::Multiplication {
 public:
  Multiplication(Session<T>& session, bool transposed, ProductRows rows, const Output& output, const Gather& gather,
                 std::size_t cols, bool update)
      : session_(session),
        transposed_(transposed),
        rows_(rows),
        output_(output),
        gather_(gather),
        whole_panels_(gather.group().whole_panels(cols)),
        update_(update) {
    rows_.options.part = output.part;
    const NodeSet& wanted = rows_.destinations->part(output.part);
    const auto& infos = session.graph.infos(transposed);
    for (std::size_t s = 0; s < infos.size(); ++s) {
      const std::size_t end = wanted.rank(infos[s].first_row + infos[s].rows);
      if (end == (ends_.empty() ? 0 : ends_.back())) continue;
      shards_.push_back(s);
      ends_.push_back(end);
    }
    open_.resize(shards_.size());
  }

  // Those of whole shards, an upper bound where not all rows are wanted.
  [[nodiscard]] double edges() const {
    double sum = 0;
    const auto& infos = session_.graph.infos(transposed_);
    for (std::size_t i = 0; i < shards_.size(); ++i) {
      const double share = static_cast<double>(ends_[i] - begin(i)) / infos[shards_[i]].rows;
      sum += static_cast<double>(infos[shards_[i]].edges) * share;
    }
    return sum;
  }
  [[nodiscard]] std::uint64_t file_bytes() const {
    std::uint64_t sum = 0;
    for (const std::size_t s : shards_) sum += session_.graph.infos(transposed_)[s].file_bytes;
    return sum;
  }

  void run() {
    const std::size_t rows = output_.out->shape().rows;
    ShardStream<T> stream(session_.graph, transposed_, rows_, shards_, session_.budget, session_.options.prefetch);
    ReadAhead ahead(session_.options.prefetch);
    const std::size_t first_panel = gather_.group().first_panel(), panels = gather_.group().panels();
    if (output_.add) ahead.add(*output_.add.store, first_panel, panels);
    if (update_ && !in_place()) ahead.add(*output_.out, first_panel, panels);
    ScratchMemory::Use scratch(session_.scratch);
    for (std::size_t s = 0; s < session_.workers.slots(); ++s) {
      const bool separate = output_.add && (output_.add.map != nullptr || !whole_panels_);
      slots_.push_back({scratch.take<T>(s, kChunkRows * gather_.group().count),
                        scratch.take<T>(s, separate ? kChunkRows * panels * kPanelColumns : 0),
                        EdgeSpace(session_.budget),
                        {},
                        {}});
    }
    scale_ = session_.scale(transposed_, *rows_.sources);
    std::size_t opened = 0, closed = 0;
    const auto end_of = [&](std::size_t chunk) { return std::min(rows, (chunk + 1) * kChunkRows); };
    session_.workers.ordered(
        divide_up(rows, kChunkRows),
        {.before =
             [&](std::size_t chunk) {
               while (opened == 0 || ends_[opened - 1] < end_of(chunk)) {
                 open_[opened] = stream.next();
                 ++opened;
               }
               ahead.advance();
             },
         .work = [&](std::size_t chunk, std::size_t slot) { compute(chunk, end_of(chunk), slots_[slot]); },
         .reduce =
             [&](std::size_t chunk, std::size_t) {
               while (closed < open_.size() && ends_[closed] <= end_of(chunk)) {
                 open_[closed++].reset();
               }
             }});
  }

 private:
  struct Slot {
    std::span<T> tile, added;
    EdgeSpace space;
    std::vector<std::uint32_t> list;
    std::vector<NodeId> nodes;
  };

  [[nodiscard]] bool in_place() const { return output_.add.store == output_.out; }

  [[nodiscard]] std::size_t begin(std::size_t i) const { return i == 0 ? 0 : ends_[i - 1]; }

  void compute(std::size_t chunk, std::size_t end, Slot& slot) {
    const std::size_t first = chunk * kChunkRows;
    const MatrixView<T> tile{slot.tile.data(), end - first, gather_.group().count};
    std::size_t at = first;
    auto i = static_cast<std::size_t>(std::upper_bound(ends_.begin(), ends_.end(), at) - ends_.begin());
    for (; at < end; ++i) {
      const ShardRows& rows = *open_[i]->rows;
      const std::size_t last = std::min(end, ends_[i]) - begin(i);  // of the shard's wanted rows
      for (std::size_t row = at - begin(i); row < last;) {
        const std::size_t next = rows.run_end(row, last);
        cpu::spmm<T>(rows.rows(row, next - row, slot.space, slot.list), scale_, gather_.rows(),
                     tile.rows_range(begin(i) + row - first, next - row));
        row = next;
      }
      at = begin(i) + last;
    }
    store(chunk, tile, slot);
  }

  void store(std::size_t chunk, MatrixView<T> tile, Slot& slot) {
    const std::size_t first_panel = gather_.group().first_panel();
    if (!slot.added.empty() && !in_place()) {
      add_rows(chunk, tile, slot);
    } else if (output_.add && !in_place()) {
      add_panels<T>(*output_.add.store, chunk, first_panel, tile);
    }
    if (!whole_panels_) {
      store_slice(chunk, tile, slot);
    } else if (in_place()) {
      add_and_write_panels<T>(*output_.out, chunk, first_panel, tile);
    } else {
      write_panels<T>(*output_.out, chunk, first_panel, tile);
    }
  }

  // Of other rows' order, or only some columns of a panel.
  void add_rows(std::size_t chunk, MatrixView<T> tile, Slot& slot) const {
    const ColumnGroup& group = gather_.group();
    const std::size_t cols = output_.out->shape().cols, first = group.first_panel() * kPanelColumns;
    const std::size_t width = std::min(group.panels() * kPanelColumns, cols - first);
    const MatrixView<T> added(slot.added.data(), tile.rows, width);
    const PassRows rows(*rows_.destinations, output_.part);
    if (output_.add.map != nullptr) {
      read_nodes<T>(output_.add, rows.nodes(chunk, slot.nodes), added, group.first_panel());
    } else {
      read_panels<T>(*output_.add.store, chunk, group.first_panel(), added);
    }
    add_columns(added, tile);
  }

  void add_columns(MatrixView<const T> from, MatrixView<T> tile) const {
    const std::size_t offset = gather_.group().first % kPanelColumns;
    for (std::size_t r = 0; r < tile.rows; ++r) {
      for (std::size_t c = 0; c < tile.cols; ++c) tile(r, c) += from(r, offset + c);
    }
  }

  // A slice of one panel: its columns of `out` are replaced.
  void store_slice(std::size_t chunk, MatrixView<T> tile, Slot& slot) const {
    RowStore& out = *output_.out;
    const RowShape& shape = out.shape();
    const ColumnGroup& group = gather_.group();
    const std::size_t panel = group.first_panel(), width = panel_width(shape.cols, panel);
    const std::size_t stride = panel_row_bytes(shape.codec, width);
    const std::size_t offset = (group.first % kPanelColumns) * value_bytes(shape.codec);
    const Pin pin = update_ ? out.pin_update(chunk, panel) : out.pin_overwrite(chunk, panel);
    if (in_place()) {
      const MatrixView<T> added(slot.added.data(), tile.rows, width);
      cpu::decode_panel<T>(shape.codec, pin.bytes().data(), stride, added);
      add_columns(added, tile);
    }
    cpu::encode_panel<T>(shape.codec, tile, pin.bytes().data() + offset, stride);
  }

  Session<T>& session_;
  bool transposed_;
  ProductRows rows_;
  const Output& output_;
  const Gather& gather_;
  bool whole_panels_, update_;
  EdgeScale<T> scale_;
  std::vector<std::size_t> shards_;  // those with wanted rows
  std::vector<std::size_t> ends_;    // of their rows in the output
  std::vector<std::shared_ptr<const OpenShard>> open_;
  std::vector<Slot> slots_;
};

template <class T>
ExternalSpmm<T>::ExternalSpmm(Session<T>& session, std::string name, bool transposed, const RowShape& source,
                              const ProductRows& rows, std::vector<Output> outputs)
    : session_(session),
      name_(std::move(name)),
      transposed_(transposed),
      source_(source),
      rows_(rows),
      outputs_(std::move(outputs)),
      groups_(plan_column_groups(source, outputs_.front().out->shape().codec, session.spmm_memory.gather_limit)) {
  for (const Output& output : outputs_) {
    STRATA_ASSERT(output.out->shape().cols == source.cols);
    STRATA_ASSERT(output.out->shape().rows == rows.destinations->part(output.part).size());
  }
  memory_bytes_ = gather_bytes(source, groups_);
  if (groups_.front().whole_panels(source.cols)) taken_panels_ = groups_.front().panels();
  if (session.schedule.recording()) return;
  SpmmMemory& memory = session.spmm_memory;
  if (memory.buffer.size() < memory_bytes_) {
    memory.buffer.release();
    memory.buffer = Buffer(session.budget, memory_bytes_, "the columns that SpMM gathers", true);
  }
  gather_ = Gather(source_, groups_.front(), memory.buffer.data());
}

template <class T>
ExternalSpmm<T>::~ExternalSpmm() {
  if (!session_.spmm_memory.keep) session_.spmm_memory.buffer.release();
}

template <class T>
void ExternalSpmm<T>::run(const std::vector<Source>& x, bool taken) {
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    if (g > 0 || !taken) load(x, groups_[g]);
    for (const Output& output : outputs_) multiply(groups_[g], output);
  }
}

template <class T>
std::string ExternalSpmm<T>::group_name(const char* what, const ColumnGroup& group) const {
  std::string text = std::string(what) + " " + name_;
  if (groups_.size() > 1) {
    text += ", columns " + std::to_string(group.first) + "-" + std::to_string(group.first + group.count - 1);
  }
  return text;
}

template <class T>
void ExternalSpmm<T>::load(const std::vector<Source>& x, const ColumnGroup& group) {
  Schedule::Scope scope(session_.schedule, session_.buffers, group_name("gather", group));
  for (const Source& part : x) {
    STRATA_ASSERT(part.store != nullptr);
    scope.use(*part.store, group.first_panel(), group.panels(), StoreUse::Kind::read);
  }
  scope.gathers(memory_bytes_);
  scope.works("copied bytes", static_cast<double>(source_.rows * encoded_row_bytes(source_.codec, group.count)));
  if (!scope.begin()) return;
  gather_ = Gather(source_, group, session_.spmm_memory.buffer.data());
  for (const Source& part : x) {
    const std::size_t chunks = part.store->shape().chunks();
    ReadAhead ahead(session_.options.prefetch);
    ahead.add(*part.store, group.first_panel(), group.panels());
    session_.workers.ordered(
        chunks, {.before = [&](std::size_t) { ahead.advance(); },
                 .work = [&](std::size_t chunk, std::size_t) { gather_.load(*part.store, part.first_row, chunk); },
                 .reduce = {}});
  }
}

template <class T>
void ExternalSpmm<T>::multiply(const ColumnGroup& group, const Output& output) {
  using Kind = StoreUse::Kind;
  if (output.out->shape().rows == 0) return;
  const char* what = output.part == RowPart::train ? "multiply" : "multiply to evaluate";
  Schedule::Scope scope(session_.schedule, session_.buffers, group_name(what, group));
  const bool in_place = output.add.store == output.out;
  if (output.add && !in_place) {
    scope.use(*output.add.store, group.first_panel(), group.panels(), Kind::read, output.add.map != nullptr);
  }
  // A slice that begins a panel may leave what follows undefined: the next ones fill it.
  const bool update = in_place || group.first % kPanelColumns != 0;
  scope.use(*output.out, group.first_panel(), group.panels(), update ? Kind::update : Kind::overwrite);
  scope.gathers(memory_bytes_);
  scope.takes(session_.plan.spmm_overhead);
  Multiplication product(session_, transposed_, rows_, output, gather_, source_.cols, update);
  scope.works("edges " + std::to_string(group.count) + " " + codec_name(source_.codec), product.edges());
  scope.works("rows out " + std::to_string(group.count), static_cast<double>(output.out->shape().rows));
  if (!session_.graph.resident()) scope.reads_graph(product.file_bytes());
  if (scope.begin()) product.run();
}

template <class T>
void RowSink<T>::note(Schedule::Scope& scope) const {
  if (store == nullptr) return;
  const std::size_t first = first_stored_panel();
  scope.use(*store, first, store->shape().panels() - first, StoreUse::Kind::overwrite);
}

template <class T>
void RowSink<T>::write(std::size_t chunk, MatrixView<const T> rows) const {
  if (spmm != nullptr && spmm->taken_panels() > 0) spmm->take(first_row + chunk * kChunkRows, rows);
  const std::size_t first = first_stored_panel();
  if (store == nullptr || first >= store->shape().panels()) return;
  STRATA_ASSERT(rows.rows == store->shape().chunk_rows(chunk));
  write_panels<T>(*store, chunk, first,
                  {rows.data + first * kPanelColumns, rows.rows, rows.cols - first * kPanelColumns, rows.stride});
}

template class ExternalSpmm<float>;
template class ExternalSpmm<double>;
template struct RowSink<float>;
template struct RowSink<double>;

}  // namespace strata
