#include "engine/projection.hpp"

#include <algorithm>
#include <vector>

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
  }
  std::span<T> x, u, below, gradient;
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
  if (u.spmm != nullptr) scope.takes(u.spmm->memory_bytes());
  scope.works("project " + std::to_string(layer + 1), static_cast<double>(x.shape().rows));
  if (!scope.begin()) return;
  ReadAhead ahead(session.options.prefetch);
  ahead.add(x);
  ahead.all_chunks(chunks);
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
                                         u.write(chunk, out);
                                       },
                                   .reduce = {}});
}

template <class T>
void project_backward(Session<T>& session, std::size_t layer, const RowStore& x, const RowStore& v, const RowStore* add,
                      RowStore& below) {
  const LayerSpec& spec = session.model.layers[layer];
  const std::size_t chunks = x.shape().chunks();
  Schedule::Scope scope(session.schedule, session.buffers, "project back " + std::to_string(layer + 1));
  scope.use(x, StoreUse::Kind::read);
  scope.use(v, StoreUse::Kind::read);
  if (add != nullptr && add != &below) scope.use(*add, StoreUse::Kind::read);
  scope.use(below, add == &below ? StoreUse::Kind::update : StoreUse::Kind::overwrite);
  scope.works("project back " + std::to_string(layer + 1), static_cast<double>(x.shape().rows));
  if (!scope.begin()) return;
  ReadAhead ahead(session.options.prefetch);
  ahead.add(x);
  ahead.add(v);
  if (add != nullptr) ahead.add(*add);
  ahead.all_chunks(chunks);
  ScratchMemory::Use scratch(session.scratch);
  auto tiles = make_tiles(session, spec, chunks, true, scratch);
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
                     if (add == &below) {
                       add_and_write_panels<T>(below, chunk, 0, down);
                     } else {
                       if (add != nullptr) add_panels<T>(*add, chunk, 0, down);
                       write_chunk<T>(below, chunk, down);
                     }
                   },
               .reduce =
                   [&](std::size_t, std::size_t slot) {
                     const std::span<T> part = tiles[slot].gradient;
                     for (std::size_t i = 0; i < part.size(); ++i) total[i] += part[i];
                   }});
}

#define STRATA_INSTANTIATE(T)                                                                                    \
  template void project_forward<T>(Session<T>&, std::size_t, const RowStore&, const RowSink<T>&);                \
  template void project_backward<T>(Session<T>&, std::size_t, const RowStore&, const RowStore&, const RowStore*, \
                                    RowStore&);
STRATA_INSTANTIATE(float)
STRATA_INSTANTIATE(double)
#undef STRATA_INSTANTIATE

}  // namespace strata
