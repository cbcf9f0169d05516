#include "engine/layer_pass.hpp"

#include <algorithm>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "engine/projection.hpp"
#include "engine/row_access.hpp"
#include "kernels/base/error.hpp"

namespace strata {

namespace {

// The rows of tile t: of a list of nodes, or of all.
class TileNodes {
 public:
  TileNodes(std::span<const NodeId> nodes, std::size_t total)
      : nodes_(nodes), total_(nodes.empty() ? total : nodes.size()) {}
  [[nodiscard]] std::size_t tiles() const { return divide_up(total_, kChunkRows); }
  [[nodiscard]] bool whole_chunks() const { return nodes_.empty(); }
  // Ids of tile t; `storage` backs them when they are not in a list.
  [[nodiscard]] std::span<const NodeId> ids(std::size_t t, std::vector<NodeId>& storage) const {
    const std::size_t first = t * kChunkRows;
    const std::size_t count = std::min(kChunkRows, total_ - first);
    if (!nodes_.empty()) return nodes_.subspan(first, count);
    storage.resize(count);
    std::iota(storage.begin(), storage.end(), static_cast<NodeId>(first));
    return storage;
  }

 private:
  std::span<const NodeId> nodes_;
  std::size_t total_;
};

template <class T>
void read_inputs(const LayerInputs& inputs, LayerTile<T>& tile, bool whole_chunk, std::size_t chunk) {
  if (whole_chunk) {
    read_chunk<T>(*inputs.z, chunk, tile.z());
    if (inputs.root != nullptr) read_chunk<T>(*inputs.root, chunk, tile.x());
    return;
  }
  read_rows<T>(*inputs.z, tile.ids(), tile.z());
  if (inputs.root != nullptr) read_rows<T>(*inputs.root, tile.ids(), tile.x());
}

template <class T>
double inner_product(MatrixView<const T> a, MatrixView<const T> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.rows; ++i) {
    for (std::size_t c = 0; c < a.cols; ++c) sum += static_cast<double>(a(i, c)) * static_cast<double>(b(i, c));
  }
  return sum;
}

template <class T>
void zero(MatrixView<T> m) {
  for (std::size_t i = 0; i < m.rows; ++i) std::fill_n(m.row(i), m.cols, T{0});
}

// One slot's workspace in a backward pass.
template <class T>
struct Slot {
  LayerTile<T> tile;
  std::vector<NodeId> ids;
  PassTotals totals;
  bool computed = false;
};

template <class T>
class BackwardRun {
 public:
  BackwardRun(Session<T>& session, const BackwardPass<T>& pass)
      : session_(session),
        pass_(pass),
        layer_(session.model.layers[pass.layer]),
        nodes_(pass.nodes, session.nodes()),
        scratch_(session.scratch) {
    STRATA_ASSERT(pass.output == nullptr || (pass.nodes.empty() && pass.alpha != nullptr));
    STRATA_ASSERT(pass.nodes.empty() || !pass.wants_inputs());
    const bool past = layer_.passed() && (layer_.aggregates() ? pass.dx != nullptr : pass.dz.store != nullptr);
    STRATA_ASSERT(!past || pass.alpha != nullptr);
    STRATA_ASSERT(!past || layer_.skip == 1 || pass.above != nullptr);
    if (past && layer_.skip != 1) above_ = pass.above;
    const TileNeeds needs{true, pass.parameters, pass.wants_inputs(), past};
    for (std::size_t s = 0; s < std::min(session.workers.slots(), nodes_.tiles()); ++s) {
      slots_.push_back({{layer_, pass.layer, session.parameters, needs, scratch_, s}, {}, {}, false});
    }
  }

  PassTotals run() {
    std::optional<Schedule::Scope> scope;
    ReadAhead own(session_.options.prefetch);
    if (pass_.scan == nullptr) {
      scope.emplace(session_.schedule, session_.buffers, name());
      note(*scope);
      if (!scope->begin()) return {};
      plan_reads(own);
    }
    ReadAhead& ahead = pass_.scan != nullptr ? *pass_.scan : own;
    session_.workers.ordered(nodes_.tiles(), {.before = [&](std::size_t) { ahead.advance(); },
                                              .work = [&](std::size_t t, std::size_t s) { work(t, slots_[s]); },
                                              .reduce = [&](std::size_t, std::size_t s) { reduce(slots_[s]); }});
    return totals_;
  }

 private:
  [[nodiscard]] std::string name() const {
    return (pass_.parameters ? "gradients " : "backward ") + std::to_string(pass_.layer + 1);
  }

  void note(Schedule::Scope& scope) const {
    using Kind = StoreUse::Kind;
    const bool scattered = !nodes_.whole_chunks();
    const auto reads = [&](const RowStore* store) {
      if (store != nullptr) scope.use(*store, 0, store->shape().panels(), Kind::read, scattered);
    };
    reads(pass_.inputs.z);
    reads(pass_.inputs.root);
    reads(pass_.output);
    reads(pass_.alpha);
    reads(above_);
    pass_.dz.note(scope);
    if (pass_.dx != nullptr) scope.use(*pass_.dx, Kind::overwrite);
    if (pass_.dz.spmm != nullptr) scope.takes(pass_.dz.spmm->memory_bytes());
    scope.works(name() + (pass_.wants_inputs() ? " with inputs" : ""), static_cast<double>(session_.nodes()));
  }

  void plan_reads(ReadAhead& ahead) const {
    if (!nodes_.whole_chunks()) return;
    for (const RowStore* store : {pass_.inputs.z, pass_.inputs.root, pass_.output, pass_.alpha, above_}) {
      if (store != nullptr) ahead.add(*store);
    }
    if (pass_.alpha != nullptr) {
      ahead.all_chunks(nodes_.tiles());
      return;
    }
    std::vector<std::uint32_t> chunks;  // that have rows to train on
    for (std::size_t c = 0; c < nodes_.tiles(); ++c) {
      if (session_.objective.any_training(static_cast<NodeId>(c * kChunkRows), pass_.inputs.z->shape().chunk_rows(c))) {
        chunks.push_back(static_cast<std::uint32_t>(c));
      }
    }
    ahead.chunks(std::move(chunks));
  }

  void work(std::size_t t, Slot<T>& slot) {
    LayerTile<T>& tile = slot.tile;
    slot.totals = {};
    tile.begin(nodes_.ids(t, slot.ids));
    slot.totals.rows = tile.ids().size();
    slot.computed = pass_.alpha != nullptr || !nodes_.whole_chunks() ||
                    session_.objective.any_training(tile.ids().front(), tile.ids().size());
    if (!slot.computed) {
      write_zeros(t, tile);
      return;
    }
    read_inputs(pass_.inputs, tile, nodes_.whole_chunks(), t);
    if (pass_.output != nullptr) {
      read_chunk<T>(*pass_.output, t, tile.y());
      tile.take_output(pass_.masks);
    } else {
      tile.forward(pass_.masks);
    }
    fill_dy(t, slot);
    if (above_ != nullptr) read_chunk<T>(*above_, t, tile.past());
    tile.backward(pass_.masks);
    if (pass_.wants_inputs()) pass_.dz.write(t, tile.dz());
    if (pass_.dx != nullptr) write_chunk<T>(*pass_.dx, t, tile.dx());
  }

  void fill_dy(std::size_t t, Slot<T>& slot) {
    LayerTile<T>& tile = slot.tile;
    if (pass_.alpha == nullptr) {
      const auto loss = session_.objective.gradient(tile.ids(), tile.y(), pass_.loss_scale, tile.dy());
      slot.totals.loss_sum = loss.loss_sum;
      slot.totals.counted = loss.counted;
      return;
    }
    if (nodes_.whole_chunks()) {
      read_chunk<T>(*pass_.alpha, t, tile.dy());
    } else {
      read_rows<T>(*pass_.alpha, tile.ids(), tile.dy());
    }
    if (pass_.parameters) slot.totals.inner = inner_product<T>(tile.dy(), tile.y());
  }

  // A chunk without training rows adds nothing to the loss: its gradients are zero.
  void write_zeros(std::size_t t, LayerTile<T>& tile) {
    if (pass_.wants_inputs()) {
      zero(tile.dz());
      pass_.dz.write(t, tile.dz());
    }
    if (pass_.dx != nullptr) {
      zero(tile.dx());
      write_chunk<T>(*pass_.dx, t, tile.dx());
    }
  }

  void reduce(const Slot<T>& slot) {
    totals_.loss_sum += slot.totals.loss_sum;
    totals_.counted += slot.totals.counted;
    totals_.inner += slot.totals.inner;
    totals_.rows += slot.totals.rows;
    if (!slot.computed || !pass_.parameters) return;
    const auto [first, last] = session_.parameters.group_range(layer_.group);
    T* total = session_.parameters.gradients().data() + first;
    const std::span<const T> part = slot.tile.parameter_gradients();
    for (std::size_t i = 0; i < last - first; ++i) total[i] += part[i];
  }

  Session<T>& session_;
  const BackwardPass<T>& pass_;
  const LayerSpec& layer_;
  TileNodes nodes_;
  const RowStore* above_ = nullptr;  // pass.above, where it is read
  ScratchMemory::Use scratch_;
  std::vector<Slot<T>> slots_;
  PassTotals totals_;
};

}  // namespace

template <class T>
void forward_pass(Session<T>& session, std::size_t layer, const LayerInputs& inputs, const Masks& masks,
                  const RowSink<T>& out) {
  const LayerSpec& spec = session.model.layers[layer];
  Schedule::Scope scope(session.schedule, session.buffers, "forward " + std::to_string(layer + 1));
  scope.use(*inputs.z, StoreUse::Kind::read);
  if (inputs.root != nullptr) scope.use(*inputs.root, StoreUse::Kind::read);
  const bool reads_skip = spec.skip > 0 && !LayerTile<T>::skip_is_x(spec);
  if (reads_skip) scope.use(*inputs.skip, StoreUse::Kind::read);
  out.note(scope);
  if (out.spmm != nullptr) scope.takes(out.spmm->memory_bytes());
  scope.works("forward " + std::to_string(layer + 1), static_cast<double>(session.nodes()));
  if (!scope.begin()) return;

  const TileNodes nodes({}, session.nodes());
  struct ForwardSlot {
    LayerTile<T> tile;
    std::vector<NodeId> ids;
  };
  ScratchMemory::Use scratch(session.scratch);
  std::vector<ForwardSlot> slots;
  for (std::size_t s = 0; s < std::min(session.workers.slots(), nodes.tiles()); ++s) {
    slots.push_back({{spec, layer, session.parameters, TileNeeds{}, scratch, s}, {}});
  }
  ReadAhead ahead(session.options.prefetch);
  ahead.add(*inputs.z);
  if (inputs.root != nullptr) ahead.add(*inputs.root);
  if (reads_skip) ahead.add(*inputs.skip);
  ahead.all_chunks(nodes.tiles());
  session.workers.ordered(nodes.tiles(), {.before = [&](std::size_t) { ahead.advance(); },
                                          .work =
                                              [&](std::size_t t, std::size_t s) {
                                                ForwardSlot& slot = slots[s];
                                                slot.tile.begin(nodes.ids(t, slot.ids));
                                                read_inputs(inputs, slot.tile, true, t);
                                                if (reads_skip) read_chunk<T>(*inputs.skip, t, slot.tile.skip());
                                                slot.tile.forward(masks);
                                                out.write(t, slot.tile.y());
                                              },
                                          .reduce = {}});
}

template <class T>
StepScan<T>::StepScan(Session<T>& session, std::size_t layer, const LayerInputs& inputs, const RowStore* alpha,
                      const std::vector<std::vector<NodeId>>& batches)
    : scope_(session.schedule, session.buffers, "steps " + std::to_string(layer + 1)),
      ahead_(session.options.prefetch) {
  std::vector<std::uint32_t> chunks;
  std::vector<bool> seen(divide_up(session.nodes(), kChunkRows));
  bool scattered = false;
  for (const std::vector<NodeId>& nodes : batches) {
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const std::size_t chunk = nodes[i] / kChunkRows;
      if (i > 0 && nodes[i - 1] / kChunkRows == chunk) continue;
      scattered = scattered || seen[chunk];
      seen[chunk] = true;
      chunks.push_back(static_cast<std::uint32_t>(chunk));
    }
  }
  double rows = 0;
  for (const std::vector<NodeId>& nodes : batches) rows += static_cast<double>(nodes.size());
  for (const RowStore* store : {inputs.z, inputs.root, alpha}) {
    if (store == nullptr) continue;
    scope_.use(*store, 0, store->shape().panels(), StoreUse::Kind::read, scattered);
    ahead_.add(*store);
  }
  scope_.works("steps " + std::to_string(layer + 1), rows);
  ahead_.chunks(std::move(chunks));
}

template <class T>
PassTotals backward_pass(Session<T>& session, const BackwardPass<T>& pass) {
  return BackwardRun<T>(session, pass).run();
}

template <class T>
PassTotals backward_to_inputs(Session<T>& session, BackwardPass<T> pass, const RowStore& x, RowStore* below) {
  const LayerSpec& layer = session.model.layers[pass.layer];
  if (below == nullptr) return backward_pass(session, pass);
  if (!layer.aggregates()) {
    pass.dz.store = below;
    return backward_pass(session, pass);
  }
  const std::string number = std::to_string(pass.layer + 1);
  // A residual past a layer without a root term is, but for a mask, rows that lie in a store already.
  const bool masked = pass.masks.on && layer.output_dropout > 0;
  if (layer.has_root() || (layer.passed() && masked)) pass.dx = below;
  const RowStore* add = pass.dx;
  if (add == nullptr && layer.passed()) add = layer.skip == 1 ? pass.alpha : pass.above;
  RowStore v;
  if (layer.transform_first) v = session.make_alpha("gradient at U" + number, layer.out);
  RowStore& out = layer.transform_first ? v : *below;
  const RowShape dz_shape{session.nodes(), layer.z_width(), session.options.alpha_codec};
  RowStore dz;  // what SpMM does not hold itself
  PassTotals totals;
  {
    ExternalSpmm<T> spmm(session, "back " + number, true, dz_shape, layer.transform_first ? nullptr : add, out);
    if (spmm.taken_panels() < dz_shape.panels()) dz = session.make_alpha("gradient at Z" + number, dz_shape.cols);
    pass.dz = {dz ? &dz : nullptr, &spmm, false};
    totals = backward_pass(session, pass);
    spmm.run(dz ? &dz : nullptr, spmm.taken_panels() > 0);
  }
  if (layer.transform_first) project_backward(session, pass.layer, x, v, add, *below);
  return totals;
}

#define STRATA_INSTANTIATE(T)                                                                                   \
  template void forward_pass<T>(Session<T>&, std::size_t, const LayerInputs&, const Masks&, const RowSink<T>&); \
  template class StepScan<T>;                                                                                   \
  template PassTotals backward_pass<T>(Session<T>&, const BackwardPass<T>&);                                    \
  template PassTotals backward_to_inputs<T>(Session<T>&, BackwardPass<T>, const RowStore&, RowStore*);
STRATA_INSTANTIATE(float)
STRATA_INSTANTIATE(double)
#undef STRATA_INSTANTIATE

}  // namespace strata
