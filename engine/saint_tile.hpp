// What a tile of a saint layer computes between its inputs and its output (SaintSpec in model.hpp): two branches of
// linear map, activation, norm, put side by side or added; the last layer's go on through the classifier to the logits.
// LayerTile holds one and does the rest: dropout at the ends, residuals.
#pragma once

#include <array>
#include <span>

#include "engine/act_norm.hpp"

namespace strata {

struct Masks;
struct TileNeeds;

template <class T>
class SaintTile {
 public:
  // gradients: the group's, as LayerTile has them; empty without TileNeeds::parameters.
  SaintTile(const LayerSpec& layer, std::size_t layer_index, const Parameters<T>& parameters, TileNeeds needs,
            std::span<T> gradients, ScratchMemory::Use& scratch, std::size_t slot);
  [[nodiscard]] static std::uint64_t memory_bytes(const LayerSpec& layer);

  // See ActNorm.
  void normalise_by(const BatchStatistics* batch);
  // z, x: kChunkRows rows of the aggregate and of X^{k-1}, those past ids.size() zero. They must stay as they are until
  // the end of backward(). Branches up to their activations.
  void begin(MatrixView<T> z, MatrixView<T> x, std::span<const NodeId> ids);
  void fill_statistics(BatchStatistics& tile) const;
  // After begin(). y: kChunkRows rows of the layer's output, of which ids.size() are written.
  void forward(const Masks& masks, MatrixView<T> y);
  // After forward(), dy like y, cleared past ids.size(): the gradient at the branches' output, kept for the two below.
  void backward_to_norm(const Masks& masks, MatrixView<T> dy);
  void fill_gradient_sums(BatchStatistics& tile) const;
  // The gradients of the group's tensors (cleared before), and dz, dx (kChunkRows rows) unless they are empty.
  void backward(MatrixView<T> dz, MatrixView<T> dx);

 private:
  [[nodiscard]] bool classifies() const { return spec_->saint.classifier != kNoTensor; }
  [[nodiscard]] MatrixView<T> full(std::span<T> a, std::size_t cols) const { return {a.data(), kChunkRows, cols}; }
  [[nodiscard]] MatrixView<T> used(std::span<T> a, std::size_t cols) const { return {a.data(), ids_.size(), cols}; }
  // The columns of a branch in rows of both.
  [[nodiscard]] MatrixView<T> branch_of(MatrixView<T> rows, std::size_t branch) const;
  void clear_padding(std::span<T> a, std::size_t cols) const;
  [[nodiscard]] T* gradient_of(std::size_t tensor) const;

  const LayerSpec* spec_;
  std::uint32_t index_;
  const Parameters<T>* parameters_;
  std::span<T> gradients_;
  std::size_t group_first_;
  std::array<ActNorm<T>, 2> ends_;  // of branch 0 (the row itself), 1 (its neighbours)
  std::span<const NodeId> ids_;
  std::array<MatrixView<T>, 2> inputs_;
  std::array<std::span<T>, 2> pre_;
  std::span<T> branch_;  // a branch's rows: where they are to be added, and on the way back
  // Of the last layer: both branches' rows, of length 1 or not; their factors; what dropout left of them; gradients.
  std::span<T> rows_, inverse_, dropped_, drows_;
  MatrixView<T> dy_;  // at the branches' output
};

extern template class SaintTile<float>;
extern template class SaintTile<double>;

}  // namespace strata
