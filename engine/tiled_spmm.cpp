#include "engine/tiled_spmm.hpp"

#include <algorithm>
#include <utility>

#include "engine/session.hpp"
#include "engine/tile_range.hpp"
#include "engine/tile_sweep.hpp"
#include "kernels/base/error.hpp"

namespace strata {

template <class T>
TiledProduct TiledSpmm<T>::cut_of(const SpmmJob<T>& job) {
  const std::uint64_t edges = job.graph->file_bytes(!job.transposed);
  TiledProduct product{job.source.cols, sizeof(T), {}, job.source.total_slot_bytes(), edges};
  for (const SpmmOutput& output : job.outputs) product.rows.push_back(output.out->shape().rows);
  return product;
}

template <class T>
TiledSpmm<T>::TiledSpmm(SpmmJob<T> job)
    : job_(std::move(job)), product_(cut_of(job_)), plan_(plan_tiles(product_, job_.session.spmm_memory.gather_limit)) {
  Session<T>& session = job_.session;
  if (!session.schedule.recording()) session.spmm_memory.hold(session.budget, plan_.bytes);
}

template <class T>
void TiledSpmm<T>::take(std::size_t, MatrixView<const T>) {
  STRATA_ASSERT(false);  // taken_panels() is 0
}

template <class T>
void TiledSpmm<T>::run(const std::vector<SpmmSource>& x, bool taken) {
  STRATA_ASSERT(!taken);
  Session<T>& session = job_.session;
  for (std::size_t column = 0; column < product_.cols; column += plan_.columns) {
    const ColumnGroup columns{column, std::min(plan_.columns, product_.cols - column)};
    for (std::size_t chunk = 0; chunk < product_.chunks(); chunk += plan_.chunks) {
      const TileRange<T> range(job_, plan_, columns, chunk);
      Schedule::Scope scope(session.schedule, session.buffers, range.name());
      range.note(scope, x);
      if (scope.begin()) TileSweep<T>(job_, range, session.spmm_memory.buffer.data()).run(x);
    }
  }
}

template class TiledSpmm<float>;
template class TiledSpmm<double>;

}  // namespace strata
