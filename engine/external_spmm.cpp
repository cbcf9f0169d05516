#include "engine/external_spmm.hpp"

#include <utility>

#include "engine/column_spmm.hpp"
#include "engine/row_access.hpp"
#include "engine/session.hpp"
#include "engine/tiled_spmm.hpp"
#include "kernels/base/error.hpp"

namespace strata {

namespace {

// Bytes of x and of the shards that the way of columns moves, if nothing of it is in memory; what the first group takes
// from the dense pass is neither written nor read.
template <class T>
double column_bytes(const SpmmJob<T>& job, std::uint64_t limit) {
  const auto groups = plan_column_groups(job.source, job.outputs.front().out->shape().codec, limit);
  const double panel = static_cast<double>(job.source.total_slot_bytes()) / static_cast<double>(job.source.panels());
  double bytes = 0;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    bytes += static_cast<double>(job.graph->file_bytes(job.transposed));
    if (g == 0 && groups[g].whole_panels(job.source.cols)) continue;
    bytes += static_cast<double>(groups[g].panels()) * panel;
    if (groups[g].first % kPanelColumns == 0) bytes += static_cast<double>(groups[g].panels()) * panel;  // written
  }
  return bytes;
}

template <class T>
bool takes_tiles(const SpmmJob<T>& job) {
  const SpmmMemory& memory = job.session.spmm_memory;
  if (memory.way != ProductWay::automatic) return memory.way == ProductWay::tiles;
  const TiledProduct product = TiledSpmm<T>::cut_of(job);
  if (memory.gather_limit < least_tile_bytes(product.all_rows(), product.cols, sizeof(T))) return false;
  const TilePlan tiles = plan_tiles(product, memory.gather_limit);
  return static_cast<double>(job.source.total_slot_bytes()) + tiles.read < column_bytes(job, memory.gather_limit);
}

}  // namespace

template <class T>
ExternalSpmm<T>::ExternalSpmm(Session<T>& session, std::string name, bool transposed, const RowShape& source,
                              const ProductRows& rows, std::vector<Output> outputs, Graph<T>* graph)
    : session_(session) {
  for (const Output& output : outputs) {
    STRATA_ASSERT(output.out->shape().cols == source.cols);
    STRATA_ASSERT(output.out->shape().rows == rows.destinations->part(output.part).size());
  }
  SpmmJob<T> job{session,
                 std::move(name),
                 transposed,
                 source,
                 rows,
                 std::move(outputs),
                 graph != nullptr ? graph : &session.graph};
  if (takes_tiles(job)) {
    way_ = std::make_unique<TiledSpmm<T>>(std::move(job));
  } else {
    way_ = std::make_unique<ColumnSpmm<T>>(std::move(job));
  }
}

template <class T>
ExternalSpmm<T>::~ExternalSpmm() {
  if (!session_.spmm_memory.keep) session_.spmm_memory.buffer.release();
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
