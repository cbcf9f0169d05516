#include "engine/methods/full.hpp"

#include <type_traits>

#include "kernels/base/error.hpp"

namespace strata {

template <class T>
FullMethod<T>::FullMethod(Session<T>& session)
    : session_(session), rows_(session, session.sets, keeps_outputs(session)) {}

// With room for everything, the layers' outputs are kept for the way back, which then need not compute them again where
// they tell all (LayerTile::output_suffices) and are exact.
template <class T>
bool FullMethod<T>::keeps_outputs(const Session<T>& session) {
  const bool exact = std::is_same_v<T, float> ? session.options.codec == Codec::fp32 : true;
  return exact && session.plan.fits;
}

template <class T>
EpochReport FullMethod<T>::train_epoch(std::uint32_t epoch, const EpochBatches* batches,
                                       const StepObserver<T>& observer) {
  const std::size_t steps = batches != nullptr ? batches->size() : 1;
  EpochReport report;
  for (std::size_t i = 0; i < steps; ++i) {
    if (session_.schedule.recording()) {
      const Masks masks{session_.model.has_dropout(), 0, 0, true};
      static_cast<void>(step_gradients(masks, {}));
      fresh_ = 0;  // the step would have changed the parameters
      logits_are_fresh_ = false;
      break;
    }
    if (batches != nullptr && ((*batches)[i].group != "all" || (*batches)[i].nodes.size() != session_.nodes())) {
      throw UsageError("--batch-file: method full takes steps of group \"all\" with every node");
    }
    const Masks masks{session_.model.has_dropout(), session_.options.seed,
                      static_cast<std::uint32_t>(this->global_step_), true};
    const PassTotals totals = step_gradients(masks, observer);
    StepEvent event{epoch, ++this->global_step_, "all", 0};
    event.loss = totals.loss_sum * session_.objective.mean_scale();
    if (observer.before_step) observer.before_step(event, session_.parameters);
    session_.parameters.step(session_.options.optimizer, session_.options.optimizer.rate(epoch - 1), 0,
                             session_.parameters.groups());
    for (std::size_t l = 0; l < session_.statistics.size(); ++l) {
      update_running_statistics(session_.model.layers[l], session_.statistics[l], session_.parameters);
    }
    fresh_ = 0;
    logits_are_fresh_ = false;
    if (observer.after_step) observer.after_step(event, session_.parameters);
    report.loss += event.loss / static_cast<double>(steps);
    report.node_visits += session_.training_nodes();
  }
  report.steps = steps;
  return report;
}

template <class T>
PassTotals FullMethod<T>::step_gradients(const Masks& masks, const StepObserver<T>& observer) {
  const auto& layers = session_.model.layers;
  const std::size_t top = layers.size() - 1;
  const auto progress = [&](std::size_t done) {
    if (observer.progress) observer.progress(static_cast<double>(done) / static_cast<double>(2 * layers.size()));
  };
  // Masks, and batch norm by the batch's statistics, make other rows than those of an evaluation.
  const bool own = masks.on || session_.model.has_batch_norm();
  for (std::size_t l = own ? 0 : fresh_; l < top; ++l) {
    rows_.aggregate(l, SweepParts::train);
    rows_.transform(l, masks, SweepParts::train);
    progress(l + 1);
  }
  if (own || fresh_ < layers.size()) rows_.aggregate(top, SweepParts::train);
  for (std::size_t g = 0; g < session_.parameters.groups(); ++g) session_.parameters.zero_gradients(g);
  InitialGathering<T> initial(session_);
  RowStore alpha, above;  // at the layer's output, and at that of the layer above it
  PassTotals totals;
  for (std::size_t l = layers.size(); l-- > 0;) {
    RowStore below =
        l > 0 ? session_.make_alpha("alpha" + std::to_string(l), session_.rows(l - 1).train_rows(), layers[l].in)
              : RowStore();
    const PassTotals pass =
        backward(l, masks, l == top ? nullptr : &alpha, &above, initial.next(l), l > 0 ? &below : nullptr);
    if (l == 1) initial.clear();
    if (l == top) totals = pass;
    above = layers[l].skip == 2 ? std::move(alpha) : RowStore();  // needed once more, past the layer below
    alpha = std::move(below);
    progress(2 * layers.size() - l);
  }
  return totals;
}

// Parameter gradients of a layer, and (below != null) the gradient at its input rows. above is read where the next
// layer skips over this one.
template <class T>
PassTotals FullMethod<T>::backward(std::size_t layer, const Masks& masks, const RowStore* alpha, const RowStore* above,
                                   const InitialGradient& initial, RowStore* below) {
  BackwardPass<T> pass;
  pass.layer = layer;
  pass.inputs = rows_.inputs(layer);
  pass.masks = masks;
  pass.alpha = alpha;
  pass.initial = initial;
  pass.statistics_known = alpha != nullptr;  // of the forward
  if (session_.model.layers[layer].skipped_over) {
    const bool same = &session_.rows(layer + 1) == &session_.rows(layer);
    pass.above = same ? RowSource(*above) : RowSource(*above, session_.rows(layer + 1), nullptr);
  }
  pass.loss_scale = static_cast<T>(session_.objective.mean_scale());
  pass.parameters = true;
  if (alpha != nullptr && keeps_outputs(session_) && LayerTile<T>::output_suffices(session_.model.layers[layer])) {
    pass.output = &rows_.x(layer);
  }
  return backward_to_inputs(session_, pass, layer > 0 ? &rows_.x(layer - 1) : nullptr, below);
}

template <class T>
RowSource FullMethod<T>::logits() {
  const std::size_t count = session_.model.layers.size();
  if (!logits_are_fresh_) rows_.sweep(count, Masks{}, SweepParts::all);
  logits_are_fresh_ = true;
  fresh_ = count;
  return rows_.logits();
}

template class FullMethod<float>;
template class FullMethod<double>;

}  // namespace strata
