// The training objective: labels, splits and the loss of a tile of logits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/base/types.hpp"
#include "storage/store.hpp"

namespace strata {

template <class T>
class Objective {
 public:
  Objective(const Store& store, MemoryBudget& budget);

  [[nodiscard]] const Labels& labels() const { return labels_; }
  [[nodiscard]] std::span<const NodeId> train_nodes() const { return train_.span(); }  // labelled ones, ascending
  [[nodiscard]] std::span<const NodeId> valid_nodes() const { return valid_.span(); }
  [[nodiscard]] std::span<const NodeId> test_nodes() const { return test_.span(); }
  // 1 / (number of training nodes [* classes for multi-label]): turns sums into the mean loss.
  [[nodiscard]] double mean_scale() const;
  [[nodiscard]] bool is_training(NodeId id) const { return training_[id] != 0; }

  struct Tile {
    double loss_sum = 0;        // unscaled: sum over counted rows (and classes)
    std::uint64_t counted = 0;  // training rows in the tile
  };
  // dlogits = gradient of scale * (sum of the losses of the training rows among ids); zero rows elsewhere. dlogits may
  // alias logits. ids has logits.rows entries or fewer; further rows get zero gradient.
  Tile gradient(std::span<const NodeId> ids, MatrixView<const T> logits, T scale, MatrixView<T> dlogits) const;

 private:
  Labels labels_;
  Array<NodeId> train_, valid_, test_;
  Array<std::uint8_t> training_;  // N
  std::size_t classes_ = 0;
};

extern template class Objective<float>;
extern template class Objective<double>;

}  // namespace strata
