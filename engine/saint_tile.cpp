#include "engine/saint_tile.hpp"

#include <algorithm>

#include "engine/layer_tile.hpp"
#include "kernels/dropout.hpp"
#include "kernels/linear.hpp"
#include "kernels/row_l2.hpp"

namespace strata {

template <class T>
SaintTile<T>::SaintTile(const LayerSpec& layer, std::size_t layer_index, const Parameters<T>& parameters,
                        TileNeeds needs, std::span<T> gradients, ScratchMemory::Use& scratch, std::size_t slot)
    : spec_(&layer),
      index_(static_cast<std::uint32_t>(layer_index)),
      parameters_(&parameters),
      gradients_(gradients),
      group_first_(parameters.group_range(layer.group).first),
      ends_{ActNorm<T>(layer.after[0], layer.activation, layer.saint.branch, 0, parameters, scratch, slot),
            ActNorm<T>(layer.after[1], layer.activation, layer.saint.branch, layer.saint.branch, parameters, scratch,
                       slot)} {
  const std::size_t one = kChunkRows * layer.saint.branch, both = kChunkRows * layer.saint.width();
  for (std::span<T>& pre : pre_) pre = scratch.take<T>(slot, one);
  if (layer.saint.sum || needs.backward) branch_ = scratch.take<T>(slot, one);
  if (!classifies()) return;
  rows_ = scratch.take<T>(slot, both);
  if (layer.saint.l2) inverse_ = scratch.take<T>(slot, kChunkRows);
  if (layer.saint.dropout > 0) dropped_ = scratch.take<T>(slot, both);
  if (needs.backward) drows_ = scratch.take<T>(slot, both);
}

template <class T>
std::uint64_t SaintTile<T>::memory_bytes(const LayerSpec& layer) {
  const auto array = [](std::size_t n) { return round_up(n * sizeof(T), kBlockAlignment); };
  const SaintSpec& saint = layer.saint;
  std::uint64_t bytes = 3 * array(kChunkRows * saint.branch);
  for (const NormSpec& norm : layer.after) bytes += ActNorm<T>::memory_bytes(norm, saint.branch);
  if (saint.classifier == kNoTensor) return bytes;
  return bytes + (saint.dropout > 0 ? 3 : 2) * array(kChunkRows * saint.width()) + array(kChunkRows);
}

template <class T>
void SaintTile<T>::normalise_by(const BatchStatistics* batch) {
  for (ActNorm<T>& end : ends_) end.normalise_by(batch);
}

template <class T>
MatrixView<T> SaintTile<T>::branch_of(MatrixView<T> rows, std::size_t branch) const {
  if (spec_->saint.sum) return rows;
  return {rows.data + branch * spec_->saint.branch, rows.rows, spec_->saint.branch, rows.stride};
}

template <class T>
void SaintTile<T>::clear_padding(std::span<T> a, std::size_t cols) const {
  std::fill(a.begin() + static_cast<std::ptrdiff_t>(ids_.size() * cols),
            a.begin() + static_cast<std::ptrdiff_t>(kChunkRows * cols), T{0});
}

template <class T>
T* SaintTile<T>::gradient_of(std::size_t tensor) const {
  if (gradients_.empty() || tensor == kNoTensor) return nullptr;
  return gradients_.data() + (parameters_->tensors()[tensor].offset - group_first_);
}

template <class T>
void SaintTile<T>::begin(MatrixView<T> z, MatrixView<T> x, std::span<const NodeId> ids) {
  ids_ = ids;
  inputs_ = {x, z};
  const std::size_t weights[] = {spec_->root_weight, spec_->weight};
  for (std::size_t b = 0; b < 2; ++b) {
    cpu::linear_forward<T>(inputs_[b], parameters_->matrix(weights[b]), nullptr, full(pre_[b], spec_->saint.branch),
                           false);
    ends_[b].activate(used(pre_[b], spec_->saint.branch));
  }
}

template <class T>
void SaintTile<T>::fill_statistics(BatchStatistics& tile) const {
  for (const ActNorm<T>& end : ends_) end.fill_statistics(tile);
}

template <class T>
void SaintTile<T>::forward(const Masks& masks, MatrixView<T> y) {
  const SaintSpec& saint = spec_->saint;
  const MatrixView<T> rows = classifies() ? used(rows_, saint.width()) : y.rows_range(0, ids_.size());
  ends_[0].normalise(branch_of(rows, 0));
  if (saint.sum) {
    const MatrixView<T> other = used(branch_, saint.branch);
    ends_[1].normalise(other);
    for (std::size_t i = 0; i < rows.rows; ++i) {
      for (std::size_t c = 0; c < rows.cols; ++c) rows(i, c) += other(i, c);
    }
  } else {
    ends_[1].normalise(branch_of(rows, 1));
  }
  if (!classifies()) return;
  if (saint.l2) cpu::row_l2_forward<T>(rows, rows, inverse_.data());
  clear_padding(rows_, saint.width());
  std::span<T> fed = rows_;
  if (saint.dropout > 0) {
    std::copy(rows_.begin(), rows_.end(), dropped_.begin());
    fed = dropped_;
    if (masks.on) {
      const MatrixView<T> left = used(dropped_, saint.width());
      cpu::dropout<T>(saint.dropout, output_key(masks, index_), ids_.data(), left, left);
    }
  }
  cpu::linear_forward<T>(full(fed, saint.width()), parameters_->matrix(saint.classifier), nullptr, y, false);
}

template <class T>
void SaintTile<T>::backward_to_norm(const Masks& masks, MatrixView<T> dy) {
  const SaintSpec& saint = spec_->saint;
  dy_ = dy.rows_range(0, ids_.size());
  if (!classifies()) return;
  if (T* gradient = gradient_of(saint.classifier); gradient != nullptr) {
    const std::span<T> fed = saint.dropout > 0 ? dropped_ : rows_;
    cpu::linear_backward_weight<T>(dy, full(fed, saint.width()), {gradient, spec_->out, saint.width()}, false);
  }
  cpu::linear_backward_input<T>(dy, parameters_->matrix(saint.classifier), full(drows_, saint.width()), false);
  dy_ = used(drows_, saint.width());
  if (masks.on && saint.dropout > 0) {
    cpu::dropout<T>(saint.dropout, output_key(masks, index_), ids_.data(), dy_, dy_);
  }
  if (saint.l2) cpu::row_l2_backward<T>(used(rows_, saint.width()), inverse_.data(), dy_, dy_);
}

template <class T>
void SaintTile<T>::fill_gradient_sums(BatchStatistics& tile) const {
  for (std::size_t b = 0; b < 2; ++b) ends_[b].fill_gradient_sums(branch_of(dy_, b), tile);
}

template <class T>
void SaintTile<T>::backward(MatrixView<T> dz, MatrixView<T> dx) {
  const std::size_t width = spec_->saint.branch;
  const std::size_t weights[] = {spec_->root_weight, spec_->weight};
  const MatrixView<T> below[] = {dx, dz};
  const MatrixView<T> delta = full(branch_, width);
  for (std::size_t b = 0; b < 2; ++b) {
    const NormSpec& norm = spec_->after[b];
    ends_[b].backward(branch_of(dy_, b), used(branch_, width), gradient_of(norm.gain), gradient_of(norm.offset));
    clear_padding(branch_, width);
    if (T* gradient = gradient_of(weights[b]); gradient != nullptr) {
      cpu::linear_backward_weight<T>(delta, inputs_[b], {gradient, width, spec_->in}, false);
    }
    if (below[b].data == nullptr) continue;
    cpu::linear_backward_input<T>(delta, parameters_->matrix(weights[b]), below[b], false);
  }
}

template class SaintTile<float>;
template class SaintTile<double>;

}  // namespace strata
