// SGC (Wu et al. 2019): a linear classifier on A^K X^0. The K products run once per store and are kept in
// STORE/derived; what is left is a dense model, trained in mini-batches over the training nodes like the top group of
// IGLU, one group named "head". Evaluation reads only rows of nodes of a split.
#pragma once

#include "engine/methods/layer_steps.hpp"
#include "engine/methods/method.hpp"
#include "engine/methods/sweep.hpp"

namespace strata {

template <class T>
class SgcMethod final : public Method<T> {
 public:
  explicit SgcMethod(Session<T>& session) : rows_(session, session.sets, false), steps_(session) {}
  void prepare() override { logits_are_fresh_ = false; }
  EpochReport train_epoch(std::uint32_t epoch, const EpochBatches* batches, const StepObserver<T>& observer) override;
  RowSource logits() override;
  void forget_outputs() override { logits_are_fresh_ = false; }

 private:
  ForwardRows<T> rows_;
  LayerSteps<T> steps_;
  bool logits_are_fresh_ = false;
};

extern template class SgcMethod<float>;
extern template class SgcMethod<double>;

}  // namespace strata
