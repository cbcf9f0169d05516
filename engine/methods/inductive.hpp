// A method that trains on the store's training graph and is evaluated on the full one (methods.md 2.3): training's
// rows, batches and statistics know the training nodes alone; logits() is a sweep over the full graph, normalised by
// its own degrees, with row stores of its own, so that evaluating changes nothing that training reads.
#pragma once

#include <memory>

#include "engine/methods/method.hpp"
#include "engine/methods/sweep.hpp"

namespace strata {

template <class T>
class InductiveMethod final : public Method<T> {
 public:
  // `inner` works on what the session trains on, which is inductive.
  InductiveMethod(Session<T>& session, std::unique_ptr<Method<T>> inner);
  void prepare() override;
  EpochReport train_epoch(std::uint32_t epoch, const EpochBatches* batches, const StepObserver<T>& observer) override;
  RowSource logits() override;
  void forget_outputs() override;
  [[nodiscard]] bool at_boundary() const override { return inner_->at_boundary(); }
  [[nodiscard]] std::uint32_t period() const override { return inner_->period(); }

 private:
  Session<T>& session_;
  std::unique_ptr<Method<T>> inner_;
  ForwardRows<T> rows_;
  bool logits_are_fresh_ = false;
};

extern template class InductiveMethod<float>;
extern template class InductiveMethod<double>;

}  // namespace strata
