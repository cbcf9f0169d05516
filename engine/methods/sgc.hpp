// SGC (Wu et al. 2019): a linear classifier on A^K X^0. The K products run once per store and are kept in
// STORE/derived; what is left is a dense model, trained in mini-batches over the training nodes like the top group of
// IGLU, one group named "head".
#pragma once

#include "engine/methods/layer_steps.hpp"
#include "engine/methods/method.hpp"
#include "engine/methods/sweep.hpp"

namespace strata {

template <class T>
class SgcMethod final : public Method<T> {
 public:
  explicit SgcMethod(Session<T>& session) : session_(session), rows_(session), steps_(session) {}
  void prepare() override { fresh_ = false; }
  EpochReport train_epoch(std::uint32_t epoch, const EpochBatches* batches, const StepObserver<T>& observer) override;
  const RowStore& logits() override;
  const RowStore& embeddings() override { return session_.aggregate; }  // A^K X^0

 private:
  Session<T>& session_;
  ForwardRows<T> rows_;
  LayerSteps<T> steps_;
  bool fresh_ = false;  // the logits belong to the present parameters
};

extern template class SgcMethod<float>;
extern template class SgcMethod<double>;

}  // namespace strata
