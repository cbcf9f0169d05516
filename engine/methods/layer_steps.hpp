// Optimiser steps of one layer's group in mini-batches, while the layer's inputs and alpha stand still: what IGLU does
// with every layer and SGC with its only one. The top layer takes the fresh loss gradient at every step (methods.md
// 2.3), summed over the batch (and over classes for multi-label); a hidden layer sums alpha.
#pragma once

#include <vector>

#include "engine/layer_pass.hpp"
#include "engine/methods/method.hpp"

namespace strata {

inline constexpr std::size_t kStepBatchSize = 10 * kChunkRows;  // default

// Which part of an epoch's batches: part `number` of `of`, the first the longest.
struct BatchPart {
  std::size_t number = 0, of = 1;
};

template <class T>
class LayerSteps {
 public:
  // A layer's batches are cut from its active rows, those of the top from the training nodes (design section 5).
  explicit LayerSteps(Session<T>& session);

  // Before an epoch's first steps. batches and observer must outlive the epoch.
  void begin(std::uint32_t epoch, const EpochBatches* batches, const StepObserver<T>& observer);
  // alpha: the gradient at the layer's output, null for the top. global_step counts on.
  void run(std::size_t layer, const LayerInputs& inputs, const RowStore* alpha, BatchPart part,
           std::uint64_t& global_step);
  [[nodiscard]] EpochReport report() const;

 private:
  [[nodiscard]] std::size_t top() const { return session_.model.layers.size() - 1; }
  [[nodiscard]] std::vector<std::vector<std::uint32_t>> batches_of(std::size_t layer, BatchPart part) const;
  [[nodiscard]] double gradient_scale(std::size_t layer, std::size_t rows) const;
  [[nodiscard]] double mean_loss(const PassTotals& sums);

  Session<T>& session_;
  std::vector<BatchPlan> plans_;  // by layer index
  std::uint32_t epoch_ = 0;
  const EpochBatches* batches_ = nullptr;
  const StepObserver<T>* observer_ = nullptr;
  EpochReport report_;
  double top_loss_ = 0;
  std::uint64_t top_steps_ = 0;
};

extern template class LayerSteps<float>;
extern template class LayerSteps<double>;

}  // namespace strata
