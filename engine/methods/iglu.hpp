// IGLU, inverted order (Narayanan et al. 2022, Algorithm 2; methods.md 2.2), as streams: while a layer's parameters
// step, its inputs stand still, so its batches are dense. X is always exact, alpha is refreshed once an epoch:
//
//   G from the logits; alpha^{k-1} <- VJP_inputs_k(X^{k-1}, alpha^k), k = K..2      (no dropout)
//   k = 1..K: one optimiser step per batch of layer k with alpha^k; then X^k <- f_k(X^{k-1}) for all rows
//
// The top group takes the fresh loss gradient at every step (2.3). alpha is at the scale of the *sum* loss.
#pragma once

#include <vector>

#include "engine/methods/method.hpp"
#include "engine/methods/sweep.hpp"

namespace strata {

inline constexpr std::size_t kIgluBatchSize = 10 * kChunkRows;  // default

template <class T>
class IgluMethod final : public Method<T> {
 public:
  explicit IgluMethod(Session<T>& session);
  void prepare() override;
  EpochReport train_epoch(std::uint32_t epoch, const EpochBatches* batches, const StepObserver<T>& observer) override;
  const RowStore& logits() override;
  void forget_outputs() override { logits_are_fresh_ = false; }
  const RowStore& embeddings() override { return rows_.exact_x(layers() > 1 ? layers() - 2 : 0); }

  // For tests: alpha of layer index l < top, valid from the first epoch on; a refresh at the present parameters.
  [[nodiscard]] const RowStore& alpha(std::size_t layer) const { return alpha_[layer]; }
  void refresh_alpha();

 private:
  struct Totals {
    double top_loss = 0;
    std::uint64_t top_steps = 0;
    EpochReport report;
  };
  [[nodiscard]] std::size_t layers() const { return session_.model.layers.size(); }
  [[nodiscard]] std::size_t top() const { return layers() - 1; }
  [[nodiscard]] std::vector<std::vector<NodeId>> batches_of(std::size_t layer, std::uint32_t epoch,
                                                            const EpochBatches* batches) const;
  void train_layer(std::size_t layer, std::uint32_t epoch, const EpochBatches* batches, const StepObserver<T>& observer,
                   Totals& totals);
  [[nodiscard]] double gradient_scale(std::size_t layer, std::span<const NodeId> nodes) const;
  [[nodiscard]] double step_gradients(std::size_t layer, std::span<const NodeId> nodes, ReadAhead* scan,
                                      Totals& totals);

  Session<T>& session_;
  bool logits_are_fresh_ = false;
  ForwardRows<T> rows_;
  std::vector<RowStore> alpha_;   // by layer index, gradient at that layer's output; the top has none
  std::vector<BatchPlan> plans_;  // by layer index
};

}  // namespace strata
