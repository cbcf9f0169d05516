// Full batch: one exact step an epoch over all layers; the reference of every other method. Masks are keyed by the
// epoch.
#pragma once

#include "engine/methods/method.hpp"
#include "engine/methods/sweep.hpp"

namespace strata {

template <class T>
class FullMethod final : public Method<T> {
 public:
  explicit FullMethod(Session<T>& session);
  void prepare() override { fresh_ = 0; }
  EpochReport train_epoch(std::uint32_t epoch, const EpochBatches* batches, const StepObserver<T>& observer) override;
  RowSource logits() override;
  void forget_outputs() override {
    fresh_ = 0;
    logits_are_fresh_ = false;
  }

 private:
  [[nodiscard]] static bool keeps_outputs(const Session<T>& session);
  PassTotals step_gradients(const Masks& masks, const StepObserver<T>& observer);
  PassTotals backward(std::size_t layer, const Masks& masks, const RowStore* alpha, const RowStore* above,
                      const InitialGradient& initial, RowStore* below);

  Session<T>& session_;
  ForwardRows<T> rows_;
  bool logits_are_fresh_ = false;
  std::size_t fresh_ = 0;  // X of layers [0, fresh_) is the mask-free forward under the present parameters
};

}  // namespace strata
