#include "engine/layer_pass.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "engine/projection.hpp"
#include "engine/row_access.hpp"
#include "kernels/base/error.hpp"

namespace strata {

namespace {

template <class T>
void read_inputs(const LayerInputs& inputs, const PassRows& rows, std::size_t t, LayerTile<T>& tile) {
  read_tile<T>(inputs.z, rows, t, tile.ids(), tile.z());
  if (inputs.root) read_tile<T>(inputs.root, rows, t, tile.ids(), tile.x());
  if (inputs.initial) read_tile<T>(inputs.initial, rows, t, tile.ids(), tile.x());
}

// Tells the plan, and those who read ahead, what a pass reads of a source.
void note_read(const RowSource& source, const PassRows& rows, Schedule::Scope& scope, ReadAhead& ahead) {
  if (!source) return;
  const std::size_t panels = source.store->shape().panels();
  if (source.map == nullptr && rows.whole_chunks()) {
    scope.use(*source.store, StoreUse::Kind::read);
    ahead.add(*source.store);
  } else {
    std::vector<std::uint32_t> chunks = chunks_read(source, rows);
    scope.use(*source.store, 0, panels, StoreUse::Kind::read, true, chunks.size());
    ahead.add(*source.store, std::move(chunks));
  }
  if (source.eval != nullptr) {
    scope.use(*source.eval, 0, source.eval->shape().panels(), StoreUse::Kind::read, true);
  }
}

template <class T>
double inner_product(MatrixView<const T> a, MatrixView<const T> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.rows; ++i) {
    for (std::size_t c = 0; c < a.cols; ++c) sum += static_cast<double>(a(i, c)) * static_cast<double>(b(i, c));
  }
  return sum;
}

// What batch norm normalises by in a pass; null: the running statistics.
template <class T>
BatchStatistics* batch_statistics(Session<T>& session, std::size_t layer, const Masks& masks) {
  const bool batch = masks.batch && session.model.layers[layer].has_batch_norm();
  return batch ? &session.statistics[layer] : nullptr;
}

// The session's statistics of the layer <- those of the rows. scan: of the scan over many batches that these rows are a
// part of, or null: the pass stands for itself.
template <class T>
void statistics_pass(Session<T>& session, std::size_t layer, const PassRows& rows, const LayerInputs& inputs,
                     const Masks& masks, ReadAhead* scan) {
  std::optional<Schedule::Scope> scope;
  ReadAhead own(session.options.prefetch);
  if (scan == nullptr) {
    scope.emplace(session.schedule, session.buffers, "statistics " + std::to_string(layer + 1));
    note_read(inputs.z, rows, *scope, own);
    note_read(inputs.root, rows, *scope, own);
    if (!scope->begin()) return;
  }
  struct StatisticsSlot {
    LayerTile<T> tile;
    std::vector<NodeId> ids;
    BatchStatistics part;
  };
  const LayerSpec& spec = session.model.layers[layer];
  BatchStatistics& total = session.statistics[layer];
  total.clear(spec.norm_columns());
  ScratchMemory::Use scratch(session.scratch);
  std::vector<StatisticsSlot> slots;
  for (std::size_t s = 0; s < std::min(session.workers.slots(), rows.tiles()); ++s) {
    slots.push_back({{spec, layer, session.parameters, TileNeeds{}, scratch, s}, {}, {}});
    slots.back().part.clear(spec.norm_columns());
  }
  ReadAhead& ahead = scan != nullptr ? *scan : own;
  const auto work = [&](std::size_t t, std::size_t s) {
    slots[s].tile.begin(rows.nodes(t, slots[s].ids));
    read_inputs(inputs, rows, t, slots[s].tile);
    slots[s].tile.activations(masks, slots[s].part);
  };
  session.workers.ordered(rows.tiles(), {.before = [&](std::size_t) { ahead.advance(); },
                                         .work = work,
                                         .reduce = [&](std::size_t, std::size_t s) { total.add_rows(slots[s].part); }});
}

// One slot's workspace in a backward pass.
template <class T>
struct Slot {
  LayerTile<T> tile;
  std::vector<NodeId> ids;
  PassTotals totals;
  BatchStatistics part;
};

template <class T>
class BackwardRun {
 public:
  BackwardRun(Session<T>& session, const BackwardPass<T>& pass)
      : session_(session),
        pass_(pass),
        layer_(session.model.layers[pass.layer]),
        rows_(pass.map != nullptr ? *pass.map : session.rows(pass.layer), RowPart::train, pass.rows),
        scratch_(session.scratch) {
    STRATA_ASSERT(pass.output == nullptr || (pass.rows == nullptr && pass.alpha != nullptr));
    STRATA_ASSERT(pass.rows == nullptr || !pass.wants_inputs());
    const bool past = layer_.passed() && (layer_.aggregates() ? pass.dx != nullptr : pass.dz.store != nullptr);
    STRATA_ASSERT(!past || pass.alpha != nullptr);
    STRATA_ASSERT(!past || layer_.skip == 1 || pass.above);
    if (past && layer_.skip != 1) above_ = pass.above;
    const TileNeeds needs{true, pass.parameters, pass.wants_inputs(), past};
    for (std::size_t s = 0; s < std::min(session.workers.slots(), rows_.tiles()); ++s) {
      slots_.push_back({{layer_, pass.layer, session.parameters, needs, scratch_, s}, {}, {}, {}});
      slots_.back().tile.normalise_by(batch_statistics(session, pass.layer, pass.masks));
    }
  }

  // Batch norm: what the gradient at the norm's output adds up to over all rows, which run() needs to know.
  void sum_gradients(BatchStatistics& total) {
    std::optional<Schedule::Scope> scope;
    ReadAhead own(session_.options.prefetch);
    if (pass_.scan == nullptr) {
      scope.emplace(session_.schedule, session_.buffers, "sums " + std::to_string(pass_.layer + 1));
      note_read(pass_.inputs.z, rows_, *scope, own);
      note_read(pass_.inputs.root, rows_, *scope, own);
      if (pass_.alpha != nullptr) note_read(*pass_.alpha, rows_, *scope, own);
      if (!scope->begin()) return;
    }
    for (Slot<T>& slot : slots_) slot.part.clear(layer_.norm_columns());
    ReadAhead& ahead = pass_.scan != nullptr ? *pass_.scan : own;
    const auto work = [&](std::size_t t, std::size_t s) {
      forward(t, slots_[s]);
      fill_dy(t, slots_[s]);
      slots_[s].tile.gradient_sums(pass_.masks, slots_[s].part);
    };
    session_.workers.ordered(rows_.tiles(),
                             {.before = [&](std::size_t) { ahead.advance(); },
                              .work = work,
                              .reduce = [&](std::size_t, std::size_t s) { total.add_gradients(slots_[s].part); }});
    for (Slot<T>& slot : slots_) slot.tile.normalise_by(&total);
  }

  PassTotals run() {
    std::optional<Schedule::Scope> scope;
    ReadAhead own(session_.options.prefetch);
    if (pass_.scan == nullptr) {
      scope.emplace(session_.schedule, session_.buffers, name());
      note(*scope, own);
      if (!scope->begin()) return {};
    }
    ReadAhead& ahead = pass_.scan != nullptr ? *pass_.scan : own;
    session_.workers.ordered(rows_.tiles(), {.before = [&](std::size_t) { ahead.advance(); },
                                             .work = [&](std::size_t t, std::size_t s) { work(t, slots_[s]); },
                                             .reduce = [&](std::size_t, std::size_t s) { reduce(slots_[s]); }});
    return totals_;
  }

 private:
  [[nodiscard]] std::string name() const {
    return (pass_.parameters ? "gradients " : "backward ") + std::to_string(pass_.layer + 1);
  }

  void note(Schedule::Scope& scope, ReadAhead& ahead) const {
    note_read(pass_.inputs.z, rows_, scope, ahead);
    note_read(pass_.inputs.root, rows_, scope, ahead);
    note_read(pass_.inputs.initial, rows_, scope, ahead);
    if (pass_.output != nullptr) note_read(*pass_.output, rows_, scope, ahead);
    if (pass_.alpha != nullptr) note_read(*pass_.alpha, rows_, scope, ahead);
    note_read(above_, rows_, scope, ahead);
    note_initial(scope, ahead);
    pass_.dz.note(scope);
    if (pass_.dx != nullptr) scope.use(*pass_.dx, StoreUse::Kind::overwrite);
    if (pass_.dz.spmm != nullptr) scope.gathers(pass_.dz.spmm->memory_bytes());
    scope.works(name() + (pass_.wants_inputs() ? " with inputs" : ""), static_cast<double>(rows_.count()));
  }

  void forward(std::size_t t, Slot<T>& slot) {
    LayerTile<T>& tile = slot.tile;
    slot.totals = {};
    tile.begin(rows_.nodes(t, slot.ids));
    slot.totals.rows = tile.ids().size();
    read_inputs(pass_.inputs, rows_, t, tile);
    if (pass_.output != nullptr) {
      read_chunk<T>(*pass_.output, t, tile.y());
      tile.take_output(pass_.masks);
    } else {
      tile.forward(pass_.masks);
    }
  }

  void work(std::size_t t, Slot<T>& slot) {
    LayerTile<T>& tile = slot.tile;
    forward(t, slot);
    fill_dy(t, slot);
    if (above_) read_tile<T>(above_, rows_, t, tile.ids(), tile.past());
    tile.backward(pass_.masks);
    if (pass_.wants_inputs()) pass_.dz.write(t, tile.dz());
    if (pass_.dx != nullptr) write_chunk<T>(*pass_.dx, t, tile.dx());
    if (pass_.initial.store != nullptr) gather_initial(t, tile);
  }

  void note_initial(Schedule::Scope& scope, ReadAhead& ahead) const {
    const InitialGradient& initial = pass_.initial;
    if (initial.store == nullptr) return;
    note_read(initial.above, rows_, scope, ahead);
    scope.use(*initial.store, initial.adds ? StoreUse::Kind::update : StoreUse::Kind::overwrite);
    if (initial.adds) ahead.add(*initial.store);
  }

  // This layer's share of the gradient at X^1 to that of the layers above.
  void gather_initial(std::size_t t, LayerTile<T>& tile) const {
    const InitialGradient& initial = pass_.initial;
    const MatrixView<T> sum = tile.dx();
    if (initial.adds) {
      add_and_write_panels<T>(*initial.store, t, 0, sum);
      return;
    }
    if (initial.above) {
      const MatrixView<T> above = tile.y();
      read_tile<T>(initial.above, rows_, t, tile.ids(), above);
      for (std::size_t i = 0; i < sum.rows; ++i) {
        for (std::size_t c = 0; c < sum.cols; ++c) sum(i, c) += above(i, c);
      }
    }
    write_chunk<T>(*initial.store, t, sum);
  }

  void fill_dy(std::size_t t, Slot<T>& slot) {
    LayerTile<T>& tile = slot.tile;
    if (pass_.alpha == nullptr) {
      const auto loss = session_.objective.gradient(tile.ids(), tile.y(), pass_.loss_scale, tile.dy());
      slot.totals.loss_sum = loss.loss_sum;
      slot.totals.counted = loss.counted;
      return;
    }
    read_tile<T>(*pass_.alpha, rows_, t, tile.ids(), tile.dy());
    if (pass_.parameters) slot.totals.inner = inner_product<T>(tile.dy(), tile.y());
  }

  void reduce(const Slot<T>& slot) {
    totals_.loss_sum += slot.totals.loss_sum;
    totals_.counted += slot.totals.counted;
    totals_.inner += slot.totals.inner;
    totals_.rows += slot.totals.rows;
    if (!pass_.parameters) return;
    const auto [first, last] = session_.parameters.group_range(layer_.group);
    T* total = session_.parameters.gradients().data() + first;
    const std::span<const T> part = slot.tile.parameter_gradients();
    for (std::size_t i = 0; i < last - first; ++i) total[i] += part[i];
  }

  Session<T>& session_;
  const BackwardPass<T>& pass_;
  const LayerSpec& layer_;
  PassRows rows_;
  RowSource above_;  // pass.above, where it is read
  ScratchMemory::Use scratch_;
  std::vector<Slot<T>> slots_;
  PassTotals totals_;
};

}  // namespace

template <class T>
void forward_pass(Session<T>& session, std::size_t layer, const PassRows& rows, const LayerInputs& inputs,
                  const Masks& masks, const RowSink<T>& out) {
  if (rows.count() == 0) return;
  const LayerSpec& spec = session.model.layers[layer];
  const BatchStatistics* batch = batch_statistics(session, layer, masks);
  if (batch != nullptr) statistics_pass(session, layer, rows, inputs, masks, nullptr);
  std::string name = "forward " + std::to_string(layer + 1);
  if (rows.part() == RowPart::eval) name += " to evaluate";
  Schedule::Scope scope(session.schedule, session.buffers, name);
  ReadAhead ahead(session.options.prefetch);
  note_read(inputs.z, rows, scope, ahead);
  note_read(inputs.root, rows, scope, ahead);
  note_read(inputs.initial, rows, scope, ahead);
  const bool reads_skip = spec.skip > 0 && !LayerTile<T>::skip_is_x(spec);
  if (reads_skip) note_read(inputs.skip, rows, scope, ahead);
  out.note(scope);
  if (out.spmm != nullptr) scope.gathers(out.spmm->memory_bytes());
  scope.works("forward " + std::to_string(layer + 1), static_cast<double>(rows.count()));
  if (!scope.begin()) return;

  struct ForwardSlot {
    LayerTile<T> tile;
    std::vector<NodeId> ids;
  };
  ScratchMemory::Use scratch(session.scratch);
  std::vector<ForwardSlot> slots;
  for (std::size_t s = 0; s < std::min(session.workers.slots(), rows.tiles()); ++s) {
    slots.push_back({{spec, layer, session.parameters, TileNeeds{}, scratch, s}, {}});
    slots.back().tile.normalise_by(batch);
  }
  const auto work = [&](std::size_t t, std::size_t s) {
    LayerTile<T>& tile = slots[s].tile;
    tile.begin(rows.nodes(t, slots[s].ids));
    read_inputs(inputs, rows, t, tile);
    if (reads_skip) read_tile<T>(inputs.skip, rows, t, tile.ids(), tile.skip());
    tile.forward(masks);
    out.write(t, tile.y());
  };
  session.workers.ordered(rows.tiles(), {.before = [&](std::size_t) { ahead.advance(); }, .work = work, .reduce = {}});
}

template <class T>
StepScan<T>::StepScan(Session<T>& session, std::size_t layer, const LayerInputs& inputs, const RowStore* alpha,
                      const std::vector<std::vector<std::uint32_t>>& batches)
    : scope_(session.schedule, session.buffers, "steps " + std::to_string(layer + 1)),
      ahead_(session.options.prefetch) {
  const auto note = [&](const RowSource& source) {
    if (!source) return;
    std::vector<std::uint32_t> chunks;
    for (const std::vector<std::uint32_t>& batch : batches) {
      const std::vector<std::uint32_t> part =
          chunks_read(source, PassRows(session.rows(layer), RowPart::train, &batch));
      chunks.insert(chunks.end(), part.begin(), part.end());
    }
    std::vector<bool> seen(source.store->shape().chunks());
    // Batch norm goes over a batch's rows three times.
    bool scattered = session.model.layers[layer].has_batch_norm();
    std::size_t different = 0;
    for (const std::uint32_t chunk : chunks) {
      scattered = scattered || seen[chunk];
      different += seen[chunk] ? 0 : 1;
      seen[chunk] = true;
    }
    scope_.use(*source.store, 0, source.store->shape().panels(), StoreUse::Kind::read, scattered, different);
    ahead_.add(*source.store, std::move(chunks));
  };
  note(inputs.z);
  note(inputs.root);
  note(inputs.initial);
  if (alpha != nullptr) note(*alpha);
  double rows = 0;
  for (const std::vector<std::uint32_t>& batch : batches) rows += static_cast<double>(batch.size());
  scope_.works("steps " + std::to_string(layer + 1), rows);
}

template <class T>
PassTotals backward_pass(Session<T>& session, const BackwardPass<T>& pass) {
  BatchStatistics* batch = batch_statistics(session, pass.layer, pass.masks);
  if (batch != nullptr && !pass.statistics_known) {
    const PassRows rows(pass.map != nullptr ? *pass.map : session.rows(pass.layer), RowPart::train, pass.rows);
    statistics_pass(session, pass.layer, rows, pass.inputs, pass.masks, pass.scan);
  }
  BackwardRun<T> run(session, pass);
  if (batch != nullptr) run.sum_gradients(*batch);
  return run.run();
}

template <class T>
PassTotals backward_to_inputs(Session<T>& session, BackwardPass<T> pass, const RowStore* x, RowStore* below) {
  const LayerSpec& layer = session.model.layers[pass.layer];
  if (below == nullptr) return backward_pass(session, pass);
  if (!layer.aggregates()) {
    pass.dz.store = below;
    return backward_pass(session, pass);
  }
  const std::string number = std::to_string(pass.layer + 1);
  const RowMap &rows = session.rows(pass.layer), &inputs = session.rows(pass.layer - 1);
  const auto in_order = [&](const RowStore& store) {
    return &rows == &inputs ? RowSource(store) : RowSource(store, rows, nullptr);
  };
  // A residual past a layer without a root term is, but for a mask, rows that lie in a store already.
  const bool masked = pass.masks.on && layer.output_dropout > 0;
  RowSource add;
  RowStore dx;  // of this layer's rows, where its inputs have others
  if (layer.has_root() || (layer.passed() && masked)) {
    if (&rows != &inputs) dx = session.make_alpha("gradient at root " + number, rows.train_rows(), layer.in);
    pass.dx = dx ? &dx : below;
    add = in_order(*pass.dx);
  } else if (layer.passed()) {
    add = layer.skip == 1 ? in_order(*pass.alpha) : pass.above;
  } else if (layer.initial && pass.layer == 1) {
    add = in_order(*pass.initial.store);
  }
  RowStore v;
  if (layer.transform_first) v = session.make_alpha("gradient at U" + number, inputs.train_rows(), layer.out);
  const RowShape dz_shape{rows.train_rows(), layer.z_width(), session.options.alpha_codec};
  RowStore dz;  // what SpMM does not hold itself
  PassTotals totals;
  {
    ExternalSpmm<T> spmm(
        session, "back " + number, true, dz_shape, {&rows, &inputs, {RowPart::train, true, rows.is_identity()}},
        {{RowPart::train, layer.transform_first ? RowSource() : add, layer.transform_first ? &v : below}});
    if (spmm.taken_panels() < dz_shape.panels()) {
      dz = session.make_alpha("gradient at Z" + number, rows.train_rows(), dz_shape.cols);
    }
    pass.dz = {dz ? &dz : nullptr, &spmm, false, 0};
    totals = backward_pass(session, pass);
    spmm.run({{dz ? &dz : nullptr, 0}}, spmm.taken_panels() > 0);
  }
  if (layer.transform_first) project_backward(session, pass.layer, *x, v, add, *below);
  return totals;
}

#define STRATA_INSTANTIATE(T)                                                                                \
  template void forward_pass<T>(Session<T>&, std::size_t, const PassRows&, const LayerInputs&, const Masks&, \
                                const RowSink<T>&);                                                          \
  template class StepScan<T>;                                                                                \
  template PassTotals backward_pass<T>(Session<T>&, const BackwardPass<T>&);                                 \
  template PassTotals backward_to_inputs<T>(Session<T>&, BackwardPass<T>, const RowStore*, RowStore*);
STRATA_INSTANTIATE(float)
STRATA_INSTANTIATE(double)
#undef STRATA_INSTANTIATE

}  // namespace strata
