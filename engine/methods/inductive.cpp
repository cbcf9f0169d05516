#include "engine/methods/inductive.hpp"

#include <utility>

namespace strata {

template <class T>
InductiveMethod<T>::InductiveMethod(Session<T>& session, std::unique_ptr<Method<T>> inner)
    : session_(session), inner_(std::move(inner)), rows_(session, session.full->sets, false, GraphUse::evaluation) {
  inner_->expect_evaluation(false);
}

template <class T>
void InductiveMethod<T>::prepare() {
  logits_are_fresh_ = false;
  inner_->prepare();
}

template <class T>
EpochReport InductiveMethod<T>::train_epoch(std::uint32_t epoch, const EpochBatches* batches,
                                            const StepObserver<T>& observer) {
  logits_are_fresh_ = false;
  inner_->set_global_step(this->global_step_);
  const EpochReport report = inner_->train_epoch(epoch, batches, observer);
  this->global_step_ = inner_->global_step();
  return report;
}

template <class T>
RowSource InductiveMethod<T>::logits() {
  if (!logits_are_fresh_) {
    const Schedule::Phase phase(session_.schedule, " (full graph)");
    rows_.sweep(session_.model.layers.size(), Masks{}, SweepParts::all);
  }
  logits_are_fresh_ = true;
  return rows_.logits();
}

template <class T>
void InductiveMethod<T>::forget_outputs() {
  logits_are_fresh_ = false;
  inner_->forget_outputs();
}

template class InductiveMethod<float>;
template class InductiveMethod<double>;

}  // namespace strata
