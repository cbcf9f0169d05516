// One tile (up to kChunkRows rows) of one layer: forward, and the two vector-Jacobian products, in the tile's own
// workspace. Every dense product runs on kChunkRows rows, the missing ones zero, so shapes depend on the model alone.
// Formulas: methods.md 1.2 (GCN, SAGE, LayerNorm), with the linear map after the aggregation.
#pragma once

#include <optional>
#include <span>

#include "engine/act_norm.hpp"
#include "engine/model.hpp"
#include "engine/parameters.hpp"
#include "engine/saint_tile.hpp"
#include "engine/scratch.hpp"
#include "kernels/dropout.hpp"

namespace strata {

// Which dropout masks a pass uses. Off in sweeps and evaluation.
struct Masks {
  bool on = false;
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  bool batch = false;  // batch norm by the statistics of the pass's rows, not by the running ones
};
inline DropoutKey input_key(const Masks& masks, std::uint32_t layer) { return {masks.seed, masks.step, 2 * layer}; }
inline DropoutKey output_key(const Masks& masks, std::uint32_t layer) {
  return {masks.seed, masks.step, 2 * layer + 1};
}

// What a pass needs from a tile; decides its memory.
struct TileNeeds {
  bool backward = false;    // dy and its way down to the pre-activation
  bool parameters = false;  // gradients of the layer's tensors
  bool inputs = false;      // gradients at the aggregate and at the root input
  bool past = false;        // the gradient that residuals lead past the layer to X^{k-1}
};

template <class T>
class LayerTile {
 public:
  LayerTile(const LayerSpec& layer, std::size_t layer_index, const Parameters<T>& parameters, TileNeeds needs,
            ScratchMemory::Use& scratch, std::size_t slot);
  [[nodiscard]] static std::uint64_t memory_bytes(const LayerSpec& layer, std::size_t group_size, TileNeeds needs);

  // Call with the tile's node ids, then fill z() (and x() of a layer with a root term, or with X^1 of one with an
  // initial residual): rows ids.size(). Without TileNeeds::backward also skip() of a layer with a residual.
  void begin(std::span<const NodeId> ids);
  [[nodiscard]] MatrixView<T> z() const { return used(z_, layer_->z_width()); }
  [[nodiscard]] MatrixView<T> x() const { return used(x_, layer_->in); }
  // Rows of X^{k-skip}. A backward pass does without: they are added to the output alone, which then lacks them.
  [[nodiscard]] MatrixView<T> skip() const { return used(skip_is_x(*layer_) ? x_ : skip_, layer_->out); }
  [[nodiscard]] static bool skip_is_x(const LayerSpec& layer) { return layer.skip == 1 && layer.has_root(); }
  [[nodiscard]] std::span<const NodeId> ids() const { return ids_; }

  // Batch norm: what to normalise by in the calls that follow (ActNorm::normalise_by). Forward passes over all of a
  // batch's tiles come first: activations() instead of forward(), then, for a way back, forward() and gradient_sums()
  // instead of backward(). Both fill what the tile adds to the batch's statistics.
  void normalise_by(const BatchStatistics* batch);
  void activations(const Masks& masks, BatchStatistics& tile);
  void gradient_sums(const Masks& masks, BatchStatistics& tile);

  void forward(const Masks& masks);
  // Instead of forward(), when backward() follows and y() was filled with the layer's own output rows (same masks, kept
  // exactly): for ReLU without a norm the output tells all that backward() needs, bit for bit.
  void take_output(const Masks& masks);
  [[nodiscard]] static bool output_suffices(const LayerSpec& layer) {
    return !layer.has_norm && !layer.activates_first() && layer.activation == Activation::relu && layer.skip == 0;
  }
  [[nodiscard]] MatrixView<T> y() const { return used(y_, layer_->out); }  // until backward()

  // Fill dy() (rows ids.size()) before backward(); it is overwritten on the way down to the pre-activation.
  [[nodiscard]] MatrixView<T> dy() const { return used(dy_, layer_->out); }
  // With TileNeeds::past, of a layer that is skipped over: fill it with alpha^{k+1} before backward().
  [[nodiscard]] MatrixView<T> past() const { return used(past_, layer_->in); }
  void backward(const Masks& masks);
  // After backward(): gradients of the group's tensors (laid out like the group; that of a transform-first layer's
  // weight is zero here), at the aggregate, at X^{k-1} beside the aggregate: root term, then residual. A layer that
  // does not aggregate has the residual in dz(). One with an initial residual has its share of X^1's gradient in dx();
  // y() is then free.
  [[nodiscard]] std::span<T> parameter_gradients() const { return gradients_; }
  [[nodiscard]] MatrixView<T> dz() const { return layer_->transform_first ? dy() : used(dz_, layer_->in); }
  [[nodiscard]] MatrixView<T> dx() const {
    return used(layer_->initial ? x_ : layer_->has_root() ? dx_ : past_, layer_->in);
  }

 private:
  [[nodiscard]] MatrixView<T> full(std::span<T> a, std::size_t cols) const { return {a.data(), kChunkRows, cols}; }
  [[nodiscard]] MatrixView<T> used(std::span<T> a, std::size_t cols) const { return {a.data(), ids_.size(), cols}; }
  void clear_padding(std::span<T> a, std::size_t cols) const;
  [[nodiscard]] T* gradient_of(std::size_t tensor) const;
  void take_input(const Masks& masks);
  void transform();
  void mask_output_gradient(const Masks& masks);
  void take_past(const Masks& masks);
  void add_bias(const T* bias);
  void backward_parameters();
  void backward_inputs();
  void add_past();

  const LayerSpec* layer_;
  std::uint32_t index_;
  const Parameters<T>* parameters_;
  TileNeeds needs_;
  std::size_t group_first_;
  bool from_output_ = false;
  std::span<const NodeId> ids_;
  std::optional<SaintTile<T>> saint_;
  std::optional<ActNorm<T>> after_;  // of a layer that activates first and is not saint's
  std::span<T> z_, x_, skip_, pre_, post_, y_, dy_, dz_, dx_, past_, mean_, rstd_, norm_scratch_, gradients_;
};

extern template class LayerTile<float>;
extern template class LayerTile<double>;

}  // namespace strata
