#include "engine/methods/iglu.hpp"

#include <algorithm>
#include <string>

#include "kernels/base/error.hpp"

namespace strata {

template <class T>
IgluMethod<T>::IgluMethod(Session<T>& session)
    : session_(session), rows_(session, session.sets, false), steps_(session), initial_(session) {
  for (std::size_t l = 0; l < top(); ++l) {
    alpha_.push_back(
        session.make_alpha("alpha" + std::to_string(l + 1), session.rows(l).train_rows(), session.model.layers[l].out));
  }
  if (!inverted() && alternate()) {
    frozen_parameters_ = Array<T>(session.budget, session.parameters.size(), "parameters of the last refresh");
  }
}

// X of all layers but the top, and the top's aggregate; the logits wait until somebody asks.
template <class T>
void IgluMethod<T>::sweep_hidden(SweepParts parts) {
  rows_.sweep(top(), Masks{}, parts);
  eval_is_fresh_ = parts == SweepParts::all || !rows_.has_eval_rows();
}

template <class T>
void IgluMethod<T>::prepare() {
  sweep_hidden(SweepParts::train);
  fresh_ = Fresh::hidden;
  refreshed_ = false;
  frozen_x_lost_ = false;
  epoch_ = 0;
}

template <class T>
bool IgluMethod<T>::at_boundary() const {
  return !alternate() || epoch_ % 2 == 0;
}

template <class T>
RowSource IgluMethod<T>::logits() {
  if (fresh_ == Fresh::nothing) frozen_x_lost_ = true;
  if (fresh_ == Fresh::nothing || !eval_is_fresh_) sweep_hidden(SweepParts::all);
  if (fresh_ != Fresh::all) rows_.transform(top(), Masks{}, SweepParts::all);
  fresh_ = Fresh::all;
  return rows_.logits();
}

// What the next epoch reads is there; the rest is not.
template <class T>
void IgluMethod<T>::forget_outputs() {
  if (fresh_ == Fresh::all) fresh_ = inverted() ? Fresh::hidden : Fresh::nothing;
  eval_is_fresh_ = !rows_.has_eval_rows();
}

// alpha of layer index l - 1 from that of l and, where layer l + 1 skips over l, of l + 1.
template <class T>
void IgluMethod<T>::refresh_alpha_below(std::size_t l) {
  BackwardPass<T> pass;
  pass.layer = l;
  pass.inputs = rows_.inputs(l);
  pass.alpha = l == top() ? nullptr : &alpha_[l];
  if (session_.model.layers[l].skipped_over) {
    const bool same = &session_.rows(l + 1) == &session_.rows(l);
    pass.above = same ? RowSource(alpha_[l + 1]) : RowSource(alpha_[l + 1], session_.rows(l + 1), nullptr);
  }
  pass.initial = initial_.next(l);
  backward_to_inputs(session_, pass, nullptr, &alpha_[l - 1]);
  if (l == 1) initial_.clear();
}

template <class T>
void IgluMethod<T>::refresh_alpha() {
  for (std::size_t l = top(); l > 0; --l) refresh_alpha_below(l);
}

// An evaluation since the last step has swept already.
template <class T>
void IgluMethod<T>::refresh_x() {
  if (fresh_ == Fresh::nothing) sweep_hidden(SweepParts::train);
  fresh_ = Fresh::hidden;
  frozen_x_lost_ = false;
  if (alternate()) std::ranges::copy(session_.parameters.values(), frozen_parameters_.begin());
}

// The stale X that an evaluation overwrote, from the parameters that it belongs to. The plan reckons with an evaluation
// after every epoch and so drops what it would overwrite, even where the epoch before had none.
template <class T>
void IgluMethod<T>::restore_frozen_x() {
  if (!frozen_x_lost_ && !session_.schedule.planned()) return;
  std::ranges::swap_ranges(session_.parameters.values(), frozen_parameters_.span());
  sweep_hidden(SweepParts::train);
  std::ranges::swap_ranges(session_.parameters.values(), frozen_parameters_.span());
  frozen_x_lost_ = false;
}

template <class T>
EpochReport IgluMethod<T>::train_epoch(std::uint32_t epoch, const EpochBatches* batches,
                                       const StepObserver<T>& observer) {
  steps_.begin(epoch, batches, observer);
  const std::size_t parts = session_.options.iglu_refresh == IgluRefresh::twice ? 2 : 1;
  const bool refresh = !alternate() || epoch % 2 == 1 || !refreshed_;
  steps_done_ = 0;
  steps_of_epoch_ = parts * (layers() + 1);  // a refresh counts as a layer
  for (std::size_t part = 0; part < parts; ++part) {
    if (refresh) {
      inverted() ? refresh_alpha() : refresh_x();
    } else if (!inverted()) {
      restore_frozen_x();
    }
    refreshed_ = true;
    ++steps_done_;
    inverted() ? inverted_part({part, parts}, observer) : backprop_part({part, parts}, observer);
  }
  epoch_ = epoch;
  return steps_.report();
}

template <class T>
void IgluMethod<T>::inverted_part(BatchPart part, const StepObserver<T>& observer) {
  const bool last = part.number + 1 == part.of;
  const SweepParts parts = last && this->evaluation_expected_ ? SweepParts::all : SweepParts::train;
  for (std::size_t l = 0; l < layers(); ++l) {
    step_layer(l, part, observer);
    if (l == top()) break;
    rows_.transform(l, Masks{}, parts);
    rows_.aggregate(l + 1, parts);
  }
  fresh_ = Fresh::hidden;
  eval_is_fresh_ = parts == SweepParts::all || !rows_.has_eval_rows();
}

template <class T>
void IgluMethod<T>::backprop_part(BatchPart part, const StepObserver<T>& observer) {
  fresh_ = Fresh::nothing;
  for (std::size_t l = layers(); l-- > 0;) {
    if (l < top()) refresh_alpha_below(l + 1);
    step_layer(l, part, observer);
  }
}

template <class T>
void IgluMethod<T>::step_layer(std::size_t layer, BatchPart part, const StepObserver<T>& observer) {
  steps_.run(layer, rows_.inputs(layer), layer == top() ? nullptr : &alpha_[layer], part, this->global_step_);
  ++steps_done_;
  if (observer.progress) observer.progress(static_cast<double>(steps_done_) / static_cast<double>(steps_of_epoch_));
}

template class IgluMethod<float>;
template class IgluMethod<double>;

}  // namespace strata
