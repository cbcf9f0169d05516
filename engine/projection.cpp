#include "engine/projection.hpp"

#include <algorithm>
#include <vector>

#include "engine/read_ahead.hpp"
#include "engine/row_access.hpp"
#include "kernels/linear.hpp"

namespace strata {

namespace {

// kChunkRows rows of each matrix; what lies beyond the chunk's own rows is kept zero.
template <class T>
struct ProjectionTile {
  ProjectionTile(const LayerSpec& layer, bool backward, ScratchMemory::Use& scratch, std::size_t slot)
      : x(scratch.take<T>(slot, kChunkRows * layer.in)), u(scratch.take<T>(slot, kChunkRows * layer.out)) {
    if (!backward) return;
    below = scratch.take<T>(slot, kChunkRows * layer.in);
    gradient = scratch.take<T>(slot, layer.out * layer.in);
    added = scratch.take<T>(slot, kChunkRows * layer.in);
  }
  std::span<T> x, u, below, gradient, added;
  std::vector<NodeId> nodes;
};

template <class T>
MatrixView<T> read_padded(const RowStore& store, std::size_t chunk, std::span<T> to) {
  const std::size_t cols = store.shape().cols;
  const std::size_t rows = store.shape().chunk_rows(chunk);
  read_chunk<T>(store, chunk, {to.data(), rows, cols});
  std::fill(to.begin() + rows * cols, to.begin() + kChunkRows * cols, T{0});
  return {to.data(), kChunkRows, cols};
}

template <class T>
std::vector<ProjectionTile<T>> make_tiles(Session<T>& session, const LayerSpec& layer, std::size_t chunks,
                                          bool backward, ScratchMemory::Use& scratch) {
  std::vector<ProjectionTile<T>> tiles;
  for (std::size_t s = 0; s < std::min(session.workers.slots(), chunks); ++s) {
    tiles.emplace_back(layer, backward, scratch, s);
  }
  return tiles;
}

}  // namespace

template <class T>
void project_forward(Session<T>& session, std::size_t layer, const RowStore& x, const RowSink<T>& u) {
  const LayerSpec& spec = session.model.layers[layer];
  const std::size_t chunks = x.shape().chunks();
  Schedule::Scope scope(session.schedule, session.buffers, "project " + std::to_string(layer + 1));
  scope.use(x, StoreUse::Kind::read);
  u.note(scope);
  if (u.spmm != nullptr) scope.gathers(u.spmm->memory_bytes());
  scope.works("project " + std::to_string(layer + 1), static_cast<double>(x.shape().rows));
  if (!scope.begin()) return;
  ReadAhead ahead(session.options.prefetch);
  ahead.add(x);
  ScratchMemory::Use scratch(session.scratch);
  auto tiles = make_tiles(session, spec, chunks, false, scratch);
  session.workers.ordered(chunks, {.before = [&](std::size_t) { ahead.advance(); },
                                   .work =
                                       [&](std::size_t chunk, std::size_t slot) {
                                         ProjectionTile<T>& tile = tiles[slot];
                                         const MatrixView<T> rows = read_padded<T>(x, chunk, tile.x);
                                         const MatrixView<T> out(tile.u.data(), kChunkRows, spec.out);
                                         cpu::linear_forward<T>(rows, session.parameters.matrix(spec.weight), nullptr,
                                                                out, false);
                                         u.write(chunk, out.rows_range(0, x.shape().chunk_rows(chunk)));
                                       },
                                   .reduce = {}});
}

template <class T>
void project_backward(Session<T>& session, std::size_t layer, const RowStore& x, const RowStore& v,
                      const RowSource& add, RowStore& below) {
  const LayerSpec& spec = session.model.layers[layer];
  const std::size_t chunks = x.shape().chunks();
  Schedule::Scope scope(session.schedule, session.buffers, "project back " + std::to_string(layer + 1));
  scope.use(x, StoreUse::Kind::read);
  scope.use(v, StoreUse::Kind::read);
  const bool in_place = add.store == &below;
  if (add && !in_place) scope.use(*add.store, 0, add.store->shape().panels(), StoreUse::Kind::read, add.map != nullptr);
  scope.use(below, in_place ? StoreUse::Kind::update : StoreUse::Kind::overwrite);
  scope.works("project back " + std::to_string(layer + 1), static_cast<double>(x.shape().rows));
  if (!scope.begin()) return;
  ReadAhead ahead(session.options.prefetch);
  ahead.add(x);
  ahead.add(v);
  if (add) ahead.add(*add.store);
  ScratchMemory::Use scratch(session.scratch);
  auto tiles = make_tiles(session, spec, chunks, true, scratch);
  const PassRows nodes(session.rows(layer - 1), RowPart::train);
  T* total = session.parameters.gradients().data() + session.parameters.tensors()[spec.weight].offset;
  session.workers.ordered(
      chunks, {.before = [&](std::size_t) { ahead.advance(); },
               .work =
                   [&](std::size_t chunk, std::size_t slot) {
                     ProjectionTile<T>& tile = tiles[slot];
                     const MatrixView<T> rows = read_padded<T>(x, chunk, tile.x);
                     const MatrixView<T> delta = read_padded<T>(v, chunk, tile.u);
                     const MatrixView<T> down(tile.below.data(), kChunkRows, spec.in);
                     cpu::linear_backward_weight<T>(delta, rows, {tile.gradient.data(), spec.out, spec.in}, false);
                     cpu::linear_backward_input<T>(delta, session.parameters.matrix(spec.weight), down, false);
                     const MatrixView<T> own = down.rows_range(0, below.shape().chunk_rows(chunk));
                     if (in_place) {
                       add_and_write_panels<T>(below, chunk, 0, own);
                       return;
                     }
                     if (add.map != nullptr) {
                       const MatrixView<T> added(tile.added.data(), own.rows, own.cols);
                       read_nodes<T>(add, nodes.nodes(chunk, tile.nodes), added);
                       for (std::size_t i = 0; i < own.rows * own.cols; ++i) own.data[i] += added.data[i];
                     } else if (add) {
                       add_panels<T>(*add.store, chunk, 0, own);
                     }
                     write_chunk<T>(below, chunk, own);
                   },
               .reduce =
                   [&](std::size_t, std::size_t slot) {
                     const std::span<T> part = tiles[slot].gradient;
                     for (std::size_t i = 0; i < part.size(); ++i) total[i] += part[i];
                   }});
}

#define STRATA_INSTANTIATE(T)                                                                                     \
  template void project_forward<T>(Session<T>&, std::size_t, const RowStore&, const RowSink<T>&);                 \
  template void project_backward<T>(Session<T>&, std::size_t, const RowStore&, const RowStore&, const RowSource&, \
                                    RowStore&);
STRATA_INSTANTIATE(float)
STRATA_INSTANTIATE(double)
#undef STRATA_INSTANTIATE

}  // namespace strata
