// IGLU (Narayanan et al. 2022, Algorithms 1 and 2 as corrected in methods.md 2.2), as streams: while a layer's
// parameters step, its inputs stand still, so its batches are dense.
//
//   inverted   X is always exact, alpha stale between refreshes:
//     G from the logits; alpha^{k-1} <- VJP_inputs_k(X^{k-1}, alpha^k), k = K..2      (the refresh)
//     k = 1..K: one step per batch of layer k with alpha^k; then X^k <- f_k(X^{k-1}) for all rows
//
//   backprop   alpha is exact given X, X stale between refreshes:
//     X^k <- f_k(X^{k-1}), k = 1..K-1                                                 (the refresh)
//     steps of the top group; then k = K-1..1: alpha^k <- VJP_inputs_{k+1}(X^k, alpha^{k+1}) with the parameters that
//     layer k+1 has now, and one step per batch of layer k with alpha^k
//
// --iglu-refresh: 1, one refresh an epoch; 0.5, one in every odd epoch; 2, every layer's batches cut in halves (the
// first the longer), each half behind its own refresh. Sweeps are free of dropout. alpha is at the scale of the *sum*
// loss. Residuals: alpha^{k-1} collects the path through layer k, its root term, and the residual past it (Lemma 3);
// alpha^1 of gcnii what every layer leaves on the way down (initial_gradient.hpp).
#pragma once

#include <vector>

#include "engine/methods/layer_steps.hpp"
#include "engine/methods/method.hpp"
#include "engine/methods/sweep.hpp"

namespace strata {

template <class T>
class IgluMethod final : public Method<T> {
 public:
  explicit IgluMethod(Session<T>& session);
  void prepare() override;
  EpochReport train_epoch(std::uint32_t epoch, const EpochBatches* batches, const StepObserver<T>& observer) override;
  RowSource logits() override;
  void forget_outputs() override;
  [[nodiscard]] std::uint32_t period() const override { return alternate() ? 2 : 1; }
  // With refresh 0.5 an even epoch goes on with what the odd one before it refreshed, which no checkpoint holds.
  [[nodiscard]] bool at_boundary() const override;

  // For tests: alpha of layer index l < top as it stands, the rows of all layers, a refresh of alpha at the present
  // parameters.
  [[nodiscard]] const RowStore& alpha(std::size_t layer) const { return alpha_[layer]; }
  [[nodiscard]] ForwardRows<T>& rows() { return rows_; }
  void refresh_alpha();

 private:
  // How much of the rows is the forward under the present parameters. In between steps of the backprop order: nothing.
  enum class Fresh : std::uint8_t { nothing, hidden, all };

  [[nodiscard]] std::size_t layers() const { return session_.model.layers.size(); }
  [[nodiscard]] std::size_t top() const { return layers() - 1; }
  [[nodiscard]] bool inverted() const { return session_.options.iglu_order == IgluOrder::inverted; }
  [[nodiscard]] bool alternate() const { return session_.options.iglu_refresh == IgluRefresh::alternate; }
  void sweep_hidden(SweepParts parts);
  void refresh_alpha_below(std::size_t layer);
  void refresh_x();
  void restore_frozen_x();
  void inverted_part(BatchPart part, const StepObserver<T>& observer);
  void backprop_part(BatchPart part, const StepObserver<T>& observer);
  void step_layer(std::size_t layer, BatchPart part, const StepObserver<T>& observer);

  Session<T>& session_;
  ForwardRows<T> rows_;
  LayerSteps<T> steps_;
  std::vector<RowStore> alpha_;  // by layer index, gradient at that layer's output; the top has none
  InitialGathering<T> initial_;  // on the way down; in the backprop order between the steps
  Fresh fresh_ = Fresh::nothing;
  bool eval_is_fresh_ = false;  // the rows of evaluation, as far as fresh_ says
  bool refreshed_ = false;      // alpha (inverted) or X (backprop) was refreshed since prepare()
  std::uint32_t epoch_ = 0;     // the last one trained since prepare(); 0: none
  bool frozen_x_lost_ = false;  // logits() overwrote the stale X that the next epoch goes on with
  Array<T> frozen_parameters_;  // backprop order with refresh 0.5: those of the last refresh, to make its X again
  std::size_t steps_done_ = 0, steps_of_epoch_ = 1;  // layers, for the progress display
};

extern template class IgluMethod<float>;
extern template class IgluMethod<double>;

}  // namespace strata
