#include "engine/layer_tile.hpp"

#include <algorithm>
#include <utility>

#include "engine/gcnii_tile.hpp"
#include "kernels/activation.hpp"
#include "kernels/base/error.hpp"
#include "kernels/dropout.hpp"
#include "kernels/linear.hpp"
#include "kernels/norm.hpp"

namespace strata {

namespace {

// Of the root term's input: dropouts of the layers count from 0.
DropoutKey root_key(const Masks& masks, std::uint32_t layer) { return {masks.seed, masks.step, 0x800000 + layer}; }

template <class T>
void add_rows(MatrixView<T> to, MatrixView<T> from) {
  for (std::size_t i = 0; i < to.rows; ++i) {
    for (std::size_t c = 0; c < to.cols; ++c) to(i, c) += from(i, c);
  }
}

}  // namespace

template <class T>
LayerTile<T>::LayerTile(const LayerSpec& layer, std::size_t layer_index, const Parameters<T>& parameters,
                        TileNeeds needs, ScratchMemory::Use& scratch, std::size_t slot)
    : layer_(&layer),
      index_(static_cast<std::uint32_t>(layer_index)),
      parameters_(&parameters),
      needs_(needs),
      group_first_(parameters.group_range(layer.group).first) {
  const std::size_t in = kChunkRows * layer.in;
  const std::size_t out = kChunkRows * layer.out;
  const std::size_t z = kChunkRows * layer.z_width();
  z_ = scratch.take<T>(slot, z);
  if (layer.has_root() || layer.initial) x_ = scratch.take<T>(slot, in);
  if (!layer.is_saint()) pre_ = scratch.take<T>(slot, out);
  if (layer.has_norm) {
    post_ = scratch.take<T>(slot, out);
    mean_ = scratch.take<T>(slot, kChunkRows);
    rstd_ = scratch.take<T>(slot, kChunkRows);
    norm_scratch_ = scratch.take<T>(slot, layer.out);
  }
  if (layer.skip > 0 && !needs.backward && !skip_is_x(layer)) skip_ = scratch.take<T>(slot, out);
  y_ = scratch.take<T>(slot, out);
  if (needs.backward) dy_ = scratch.take<T>(slot, out);
  if (needs.inputs && !layer.transform_first) dz_ = scratch.take<T>(slot, in);
  if (needs.inputs && layer.has_root()) dx_ = scratch.take<T>(slot, in);
  if (needs.past) past_ = scratch.take<T>(slot, in);
  if (needs.parameters) {
    const auto [first, last] = parameters.group_range(layer.group);
    gradients_ = scratch.take<T>(slot, last - first);
  }
  if (layer.is_saint()) {
    saint_.emplace(layer, layer_index, parameters, needs, gradients_, scratch, slot);
  } else if (layer.activates_first()) {
    after_.emplace(layer.after[0], layer.activation, layer.out, 0, parameters, scratch, slot);
  }
}

template <class T>
std::uint64_t LayerTile<T>::memory_bytes(const LayerSpec& layer, std::size_t group_size, TileNeeds needs) {
  const auto array = [](std::size_t n) { return round_up(n * sizeof(T), kBlockAlignment); };
  const std::size_t in = array(kChunkRows * layer.in);
  const std::size_t out = array(kChunkRows * layer.out);
  std::uint64_t bytes = array(kChunkRows * layer.z_width()) + 2 * out;
  if (layer.is_saint()) {
    bytes += SaintTile<T>::memory_bytes(layer) - out;
  } else {
    bytes += ActNorm<T>::memory_bytes(layer.after[0], layer.out);
  }
  if (layer.has_root() || layer.initial) bytes += in;
  if (layer.has_norm) bytes += out + 2 * array(kChunkRows) + array(layer.out);
  if (needs.backward || layer.skip > 0) bytes += out;
  if (needs.inputs) bytes += layer.has_root() ? 2 * in : in;
  if (needs.inputs && layer.passed()) bytes += in;
  if (needs.parameters) bytes += array(group_size);
  return bytes;
}

template <class T>
void LayerTile<T>::clear_padding(std::span<T> a, std::size_t cols) const {
  std::fill(a.begin() + ids_.size() * cols, a.begin() + kChunkRows * cols, T{0});
}

template <class T>
void LayerTile<T>::begin(std::span<const NodeId> ids) {
  STRATA_ASSERT(ids.size() <= kChunkRows);
  ids_ = ids;
  if (ids.size() == kChunkRows) return;
  clear_padding(z_, layer_->z_width());
  if (layer_->has_root() || layer_->initial) clear_padding(x_, layer_->in);
}

template <class T>
void LayerTile<T>::take_input(const Masks& masks) {
  if (layer_->initial) gcnii_mix<T>({*layer_, *parameters_}, full(z_, layer_->in), full(x_, layer_->in));
  if (!masks.on || layer_->input_dropout == 0) return;
  cpu::dropout<T>(layer_->input_dropout, input_key(masks, index_), ids_.data(), z(), z());
  if (layer_->drops_root_input) {
    cpu::dropout<T>(layer_->input_dropout, root_key(masks, index_), ids_.data(), x(), x());
  }
}

template <class T>
void LayerTile<T>::take_output(const Masks& masks) {
  STRATA_ASSERT(output_suffices(*layer_));
  take_input(masks);
  from_output_ = true;
}

template <class T>
void LayerTile<T>::normalise_by(const BatchStatistics* batch) {
  if (saint_) saint_->normalise_by(batch);
  if (after_) after_->normalise_by(batch);
}

template <class T>
void LayerTile<T>::activations(const Masks& masks, BatchStatistics& tile) {
  take_input(masks);
  transform();
  if (saint_) saint_->fill_statistics(tile);
  if (after_) after_->fill_statistics(tile);
}

// Up to the norm, or past it where it comes before the activation: the linear map and, after it, what follows at once.
template <class T>
void LayerTile<T>::transform() {
  const LayerSpec& l = *layer_;
  if (saint_) {
    saint_->begin(full(z_, l.in), full(x_, l.in), ids_);
    return;
  }
  const T* bias = l.bias == kNoTensor ? nullptr : parameters_->value(l.bias);
  if (l.initial) {
    gcnii_forward<T>({l, *parameters_}, full(z_, l.in), full(x_, l.in), full(pre_, l.out));
  } else if (l.transform_first) {
    add_bias(bias);
  } else {
    cpu::linear_forward<T>(full(z_, l.in), parameters_->matrix(l.weight), bias, full(pre_, l.out), false);
  }
  if (l.has_root()) {
    cpu::linear_forward<T>(full(x_, l.in), parameters_->matrix(l.root_weight), nullptr, full(pre_, l.out), true);
  }
  if (after_) after_->activate(used(pre_, l.out));
}

template <class T>
void LayerTile<T>::forward(const Masks& masks) {
  const LayerSpec& l = *layer_;
  from_output_ = false;
  take_input(masks);
  transform();
  MatrixView<T> activated = used(pre_, l.out);
  if (l.has_norm) {
    activated = used(post_, l.out);
    cpu::layer_norm_forward<T>(used(pre_, l.out), parameters_->value(l.norm_gain), parameters_->value(l.norm_offset),
                               static_cast<T>(l.norm_epsilon), activated, mean_.data(), rstd_.data());
  }
  if (saint_) {
    saint_->forward(masks, full(y_, l.out));
  } else if (after_) {
    after_->normalise(y());
  } else {
    cpu::activation_forward<T>(l.activation, activated, y());
  }
  if (l.skip > 0 && !needs_.backward) add_rows(y(), skip());
  if (masks.on && l.output_dropout > 0) {
    cpu::dropout<T>(l.output_dropout, output_key(masks, index_), ids_.data(), y(), y());
  }
}

// The pre-activation of a layer that has transformed already: z + b.
template <class T>
void LayerTile<T>::add_bias(const T* bias) {
  const std::size_t out = layer_->out;
  for (std::size_t i = 0; i < kChunkRows; ++i) {
    const T* from = z_.data() + i * out;
    T* to = pre_.data() + i * out;
    for (std::size_t c = 0; c < out; ++c) to[c] = bias != nullptr ? from[c] + bias[c] : from[c];
  }
}

template <class T>
T* LayerTile<T>::gradient_of(std::size_t tensor) const {
  return gradients_.data() + (parameters_->tensors()[tensor].offset - group_first_);
}

template <class T>
void LayerTile<T>::mask_output_gradient(const Masks& masks) {
  if (masks.on && layer_->output_dropout > 0) {
    cpu::dropout<T>(layer_->output_dropout, output_key(masks, index_), ids_.data(), dy(), dy());
  }
}

template <class T>
void LayerTile<T>::gradient_sums(const Masks& masks, BatchStatistics& tile) {
  mask_output_gradient(masks);
  clear_padding(dy_, layer_->out);
  if (saint_) {
    saint_->backward_to_norm(masks, full(dy_, layer_->out));
    saint_->fill_gradient_sums(tile);
  }
  if (after_) after_->fill_gradient_sums(dy(), tile);
}

template <class T>
void LayerTile<T>::backward(const Masks& masks) {
  const LayerSpec& l = *layer_;
  mask_output_gradient(masks);
  if (needs_.past) take_past(masks);
  if (saint_) {
    if (needs_.parameters) std::fill(gradients_.begin(), gradients_.end(), T{0});
    clear_padding(dy_, l.out);
    saint_->backward_to_norm(masks, full(dy_, l.out));
    saint_->backward(full(dz_, l.in), full(dx_, l.in));
    add_past();
    return;
  }
  const MatrixView<T> activated = from_output_ ? y() : used(l.has_norm ? post_ : pre_, l.out);
  if (needs_.parameters) std::fill(gradients_.begin(), gradients_.end(), T{0});
  if (after_) {
    T* dgain = needs_.parameters ? gradient_of(l.after[0].gain) : nullptr;
    after_->backward(dy(), y(), dgain, dgain != nullptr ? gradient_of(l.after[0].offset) : nullptr);
    std::swap(y_, dy_);
  } else {
    cpu::activation_backward<T>(l.activation, activated, dy(), dy());
  }
  if (l.has_norm) {
    // The gradients of gain and offset are by-products; a pass that does not want them lets them go.
    T* dgain = needs_.parameters ? gradient_of(l.norm_gain) : norm_scratch_.data();
    T* doffset = needs_.parameters ? gradient_of(l.norm_offset) : norm_scratch_.data();
    cpu::layer_norm_backward<T>(used(pre_, l.out), parameters_->value(l.norm_gain), mean_.data(), rstd_.data(), dy(),
                                y(), dgain, doffset);
    std::swap(y_, dy_);
  }
  clear_padding(dy_, l.out);
  if (needs_.parameters) backward_parameters();
  if (needs_.inputs) {
    backward_inputs();
    add_past();
  }
}

// What goes to X^{k-1} past the layer: alpha^k behind its own mask, or alpha^{k+1} behind that of layer k+1 (hidden
// layers have one dropout rate).
template <class T>
void LayerTile<T>::take_past(const Masks& masks) {
  const LayerSpec& l = *layer_;
  if (l.skip == 1) {
    std::copy_n(dy_.data(), ids_.size() * l.out, past_.data());
  } else if (masks.on && l.output_dropout > 0) {
    cpu::dropout<T>(l.output_dropout, output_key(masks, index_ + 1), ids_.data(), past(), past());
  }
}

template <class T>
void LayerTile<T>::backward_parameters() {
  const LayerSpec& l = *layer_;
  const MatrixView<const T> delta = full(dy_, l.out);
  if (l.initial) {
    const std::size_t second = l.initial->weight;
    const MatrixView<T> dweight2 =
        second == kNoTensor ? MatrixView<T>() : MatrixView<T>(gradient_of(second), l.in, l.out);
    gcnii_backward_weights<T>({l, *parameters_}, delta, full(z_, l.in), full(x_, l.in),
                              {gradient_of(l.weight), l.in, l.out}, dweight2);
    return;
  }
  if (!l.transform_first) {
    cpu::linear_backward_weight<T>(delta, full(z_, l.in), {gradient_of(l.weight), l.out, l.in}, false);
  }
  if (l.bias != kNoTensor) cpu::linear_backward_bias<T>(delta, gradient_of(l.bias), false);
  if (l.has_root()) {
    cpu::linear_backward_weight<T>(delta, full(x_, l.in), {gradient_of(l.root_weight), l.out, l.in}, false);
  }
}

template <class T>
void LayerTile<T>::backward_inputs() {
  const LayerSpec& l = *layer_;
  const MatrixView<const T> delta = full(dy_, l.out);
  if (l.initial) {
    gcnii_backward_inputs<T>({l, *parameters_}, delta, full(dz_, l.in), full(x_, l.in));
    return;
  }
  if (!l.transform_first) {
    cpu::linear_backward_input<T>(delta, parameters_->matrix(l.weight), full(dz_, l.in), false);
  }
  if (l.has_root()) cpu::linear_backward_input<T>(delta, parameters_->matrix(l.root_weight), full(dx_, l.in), false);
}

template <class T>
void LayerTile<T>::add_past() {
  if (!needs_.past) return;
  if (layer_->has_root()) add_rows(dx(), past());
  if (!layer_->aggregates()) add_rows(dz(), past());
}

template class LayerTile<float>;
template class LayerTile<double>;

}  // namespace strata
