#include "engine/external_spmm.hpp"

#include <algorithm>
#include <utility>

#include "engine/row_access.hpp"
#include "engine/session.hpp"
#include "engine/shard_stream.hpp"
#include "kernels/base/error.hpp"
#include "kernels/spmm.hpp"

namespace strata {

template <class T>
ExternalSpmm<T>::ExternalSpmm(Session<T>& session, std::string name, bool transposed, const RowShape& source,
                              const RowStore* add, RowStore& out)
    : session_(session),
      name_(std::move(name)),
      transposed_(transposed),
      source_(source),
      add_(add),
      out_(out),
      groups_(plan_column_groups(source, out.shape().codec, session.spmm_memory.gather_limit)) {
  STRATA_ASSERT(out.shape().rows == source.rows && out.shape().cols == source.cols);
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
void ExternalSpmm<T>::run(const RowStore* x, bool taken) {
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    if (g > 0 || !taken) {
      STRATA_ASSERT(x != nullptr);
      load(*x, groups_[g]);
    }
    multiply(groups_[g]);
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
void ExternalSpmm<T>::load(const RowStore& x, const ColumnGroup& group) {
  Schedule::Scope scope(session_.schedule, session_.buffers, group_name("gather", group));
  scope.use(x, group.first_panel(), group.panels(), StoreUse::Kind::read);
  scope.takes(memory_bytes_);
  scope.works("copied bytes", static_cast<double>(source_.rows * encoded_row_bytes(source_.codec, group.count)));
  if (!scope.begin()) return;
  gather_ = Gather(source_, group, session_.spmm_memory.buffer.data());
  ReadAhead ahead(session_.options.prefetch);
  ahead.add(x, group.first_panel(), group.panels());
  ahead.all_chunks(source_.chunks());
  session_.workers.ordered(source_.chunks(), {.before = [&](std::size_t) { ahead.advance(); },
                                              .work = [&](std::size_t chunk, std::size_t) { gather_.load(x, chunk); },
                                              .reduce = {}});
}

template <class T>
void ExternalSpmm<T>::multiply(const ColumnGroup& group) {
  using Kind = StoreUse::Kind;
  const Graph<T>& graph = session_.graph;
  Schedule::Scope scope(session_.schedule, session_.buffers, group_name("multiply", group));
  if (add_ != nullptr && add_ != &out_) scope.use(*add_, group.first_panel(), group.panels(), Kind::read);
  // A slice that begins a panel may leave what follows undefined: the next ones fill it.
  const bool update = add_ == &out_ || group.first % kPanelColumns != 0;
  scope.use(out_, group.first_panel(), group.panels(), update ? Kind::update : Kind::overwrite);
  scope.takes(memory_bytes_ + session_.plan.spmm_overhead);
  scope.works("edges " + std::to_string(group.count) + " " + codec_name(source_.codec),
              static_cast<double>(graph.edges(transposed_)));
  scope.works("rows out " + std::to_string(group.count), static_cast<double>(source_.rows));
  if (!graph.resident()) scope.reads_graph(graph.file_bytes(transposed_));
  if (!scope.begin()) return;

  struct Item {
    std::size_t shard = 0, row = 0;  // a chunk: the first local row
  };
  std::vector<Item> items;
  const auto& infos = graph.infos(transposed_);
  for (std::size_t s = 0; s < infos.size(); ++s) {
    for (std::size_t row = 0; row < infos[s].rows; row += kChunkRows) items.push_back({s, row});
  }
  std::vector<std::shared_ptr<const Shard>> open(infos.size());
  std::unique_ptr<ShardStream<T>> stream;
  if (!graph.resident()) stream = std::make_unique<ShardStream<T>>(graph, transposed_, session_.options.prefetch);
  ReadAhead ahead(session_.options.prefetch);
  if (add_ != nullptr) ahead.add(*add_, group.first_panel(), group.panels());
  if (update && add_ != &out_) ahead.add(out_, group.first_panel(), group.panels());
  ahead.all_chunks(source_.chunks());
  ScratchMemory::Use scratch(session_.scratch);
  tiles_.clear();
  for (std::size_t s = 0; s < session_.workers.slots(); ++s) {
    tiles_.push_back(scratch.take<T>(s, kChunkRows * group.count));
  }
  session_.workers.ordered(
      items.size(), {.before =
                         [&](std::size_t i) {
                           if (stream != nullptr && items[i].row == 0) open[items[i].shard] = stream->next();
                           ahead.advance();
                         },
                     .work =
                         [&](std::size_t i, std::size_t slot) {
                           const auto [shard, row] = items[i];
                           multiply_chunk(stream != nullptr ? *open[shard] : graph.open_shards(transposed_)[shard], row,
                                          slot);
                         },
                     .reduce =
                         [&](std::size_t i, std::size_t) {
                           if (i + 1 == items.size() || items[i + 1].row == 0) open[items[i].shard].reset();
                         }});
}

template <class T>
void ExternalSpmm<T>::multiply_chunk(const Shard& shard, std::size_t row, std::size_t slot) {
  const std::size_t rows = std::min<std::size_t>(kChunkRows, shard.info().rows - row);
  const MatrixView<T> tile{tiles_[slot].data(), rows, gather_.group().count};
  cpu::spmm<T>(shard.rows(row, rows), session_.graph.scale(transposed_), gather_.rows(), tile);
  store_tile((shard.info().first_row + row) / kChunkRows, tile);
}

template <class T>
void ExternalSpmm<T>::store_tile(std::size_t chunk, MatrixView<T> tile) {
  if (!gather_.group().whole_panels(source_.cols)) {
    store_slice(chunk, tile);
    return;
  }
  const std::size_t first_panel = gather_.group().first_panel();
  if (add_ == &out_) {
    add_and_write_panels<T>(out_, chunk, first_panel, tile);
    return;
  }
  if (add_ != nullptr) add_panels<T>(*add_, chunk, first_panel, tile);
  write_panels<T>(out_, chunk, first_panel, tile);
}

// A slice of one panel: its columns of `add` come in, its columns of `out` are replaced.
template <class T>
void ExternalSpmm<T>::store_slice(std::size_t chunk, MatrixView<T> tile) {
  const RowShape& shape = out_.shape();
  const ColumnGroup& group = gather_.group();
  const std::size_t panel = group.first_panel();
  const std::size_t stride = panel_row_bytes(shape.codec, panel_width(shape.cols, panel));
  const std::size_t offset = (group.first % kPanelColumns) * value_bytes(shape.codec);
  if (add_ != nullptr && add_ != &out_) add_slice(add_->pin_read(chunk, panel).bytes().data(), panel, tile);
  const bool begins = group.first % kPanelColumns == 0 && add_ != &out_;
  const Pin pin = begins ? out_.pin_overwrite(chunk, panel) : out_.pin_update(chunk, panel);
  if (add_ == &out_) add_slice(pin.bytes().data(), panel, tile);
  cpu::encode_panel<T>(shape.codec, tile, pin.bytes().data() + offset, stride);
}

template <class T>
void ExternalSpmm<T>::add_slice(const std::byte* rows, std::size_t panel, MatrixView<T> tile) const {
  const RowShape& shape = add_->shape();
  const std::size_t width = panel_width(shape.cols, panel);
  const std::size_t stride = panel_row_bytes(shape.codec, width);
  const std::size_t in_panel = gather_.group().first % kPanelColumns;
  T row[kPanelColumns];
  for (std::size_t r = 0; r < tile.rows; ++r) {
    cpu::decode_panel<T>(shape.codec, rows + r * stride, stride, {row, 1, width});
    for (std::size_t c = 0; c < tile.cols; ++c) tile(r, c) += row[in_panel + c];
  }
}

template <class T>
void RowSink<T>::note(Schedule::Scope& scope) const {
  if (store == nullptr) return;
  const std::size_t first = first_stored_panel();
  scope.use(*store, first, store->shape().panels() - first, StoreUse::Kind::overwrite);
}

template <class T>
void RowSink<T>::write(std::size_t chunk, MatrixView<const T> rows) const {
  if (spmm != nullptr && spmm->taken_panels() > 0) spmm->take(chunk, rows);
  const std::size_t first = first_stored_panel();
  if (store == nullptr || first >= store->shape().panels()) return;
  write_panels<T>(*store, chunk, first,
                  {rows.data + first * kPanelColumns, rows.rows, rows.cols - first * kPanelColumns, rows.stride});
}

template class ExternalSpmm<float>;
template class ExternalSpmm<double>;
template struct RowSink<float>;
template struct RowSink<double>;

}  // namespace strata
