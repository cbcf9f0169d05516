#include "engine/methods/sgc.hpp"

namespace strata {

template <class T>
EpochReport SgcMethod<T>::train_epoch(std::uint32_t epoch, const EpochBatches* batches,
                                      const StepObserver<T>& observer) {
  logits_are_fresh_ = false;
  steps_.begin(epoch, batches, observer);
  steps_.run(0, rows_.inputs(0), nullptr, {}, this->global_step_);
  if (observer.progress) observer.progress(1);
  return steps_.report();
}

template <class T>
RowSource SgcMethod<T>::logits() {
  if (!logits_are_fresh_) rows_.transform(0, Masks{}, SweepParts::all);
  logits_are_fresh_ = true;
  return rows_.logits();
}

template class SgcMethod<float>;
template class SgcMethod<double>;

}  // namespace strata
