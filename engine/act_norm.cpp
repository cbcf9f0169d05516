#include "engine/act_norm.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/activation.hpp"
#include "kernels/base/error.hpp"
#include "kernels/norm.hpp"

namespace strata {

template <class T>
ActNorm<T>::ActNorm(const NormSpec& norm, Activation activation, std::size_t width, std::size_t first_column,
                    const Parameters<T>& parameters, ScratchMemory::Use& scratch, std::size_t slot)
    : norm_(&norm), activation_(activation), width_(width), first_column_(first_column), parameters_(&parameters) {
  if (norm.kind == NormKind::none) return;
  const bool batch = norm.kind == NormKind::batch;
  hidden_ = scratch.take<T>(slot, kChunkRows * width);
  mean_ = scratch.take<T>(slot, batch ? width : kChunkRows);
  rstd_ = scratch.take<T>(slot, batch ? width : kChunkRows);
  discard_ = scratch.take<T>(slot, width);
  if (!batch) return;
  sum_dy_ = scratch.take<T>(slot, width);
  sum_dy_zhat_ = scratch.take<T>(slot, width);
  normalise_by(nullptr);
}

template <class T>
std::uint64_t ActNorm<T>::memory_bytes(const NormSpec& norm, std::size_t width) {
  const auto array = [](std::size_t n) { return round_up(n * sizeof(T), kBlockAlignment); };
  if (norm.kind == NormKind::none) return 0;
  const bool batch = norm.kind == NormKind::batch;
  return array(kChunkRows * width) + 2 * array(batch ? width : kChunkRows) + array(width) * (batch ? 3 : 1);
}

template <class T>
void ActNorm<T>::normalise_by(const BatchStatistics* batch) {
  if (norm_->kind != NormKind::batch) return;
  const auto rstd = [&](double variance) { return static_cast<T>(1 / std::sqrt(variance + norm_->epsilon)); };
  batch_rows_ = batch != nullptr ? std::max<std::size_t>(batch->rows, 1) : 1;
  for (std::size_t c = 0; c < width_; ++c) {
    const std::size_t column = first_column_ + c;
    if (batch != nullptr) {
      mean_[c] = static_cast<T>(batch->mean[column]);
      rstd_[c] = rstd(batch->squares[column] / static_cast<double>(batch_rows_));
    } else {
      mean_[c] = parameters_->value(norm_->mean)[c];
      rstd_[c] = rstd(static_cast<double>(parameters_->value(norm_->variance)[c]));
    }
    sum_dy_[c] = batch != nullptr ? static_cast<T>(batch->sum_dy[column]) : T{0};
    sum_dy_zhat_[c] = batch != nullptr ? static_cast<T>(batch->sum_dy_zhat[column]) : T{0};
  }
}

template <class T>
void ActNorm<T>::activate(MatrixView<T> z) {
  pre_ = z;
  if (norm_->kind != NormKind::none) cpu::activation_forward<T>(activation_, z, hidden());
}

template <class T>
void ActNorm<T>::fill_statistics(BatchStatistics& tile) const {
  STRATA_ASSERT(norm_->kind == NormKind::batch);
  const T rows = static_cast<T>(std::max<std::size_t>(pre_.rows, 1));
  std::vector<T> mean(width_, T{0}), ignored(width_, T{0}), squares(width_, T{0});
  cpu::column_sums<T>(hidden(), nullptr, mean.data(), ignored.data());
  for (T& m : mean) m /= rows;
  cpu::column_sums<T>(hidden(), mean.data(), ignored.data(), squares.data());
  tile.rows = pre_.rows;
  std::copy(mean.begin(), mean.end(), tile.mean.begin() + static_cast<std::ptrdiff_t>(first_column_));
  std::copy(squares.begin(), squares.end(), tile.squares.begin() + static_cast<std::ptrdiff_t>(first_column_));
}

template <class T>
void ActNorm<T>::normalise(MatrixView<T> y) {
  const auto gain = [&] { return parameters_->value(norm_->gain); };
  const auto offset = [&] { return parameters_->value(norm_->offset); };
  switch (norm_->kind) {
    case NormKind::layer:
      cpu::layer_norm_forward<T>(hidden(), gain(), offset(), static_cast<T>(norm_->epsilon), y, mean_.data(),
                                 rstd_.data());
      return;
    case NormKind::batch: cpu::batch_norm_apply<T>(hidden(), mean_.data(), rstd_.data(), gain(), offset(), y); return;
    default: cpu::activation_forward<T>(activation_, pre_, y);
  }
}

template <class T>
void ActNorm<T>::fill_gradient_sums(MatrixView<const T> dy, BatchStatistics& tile) const {
  STRATA_ASSERT(norm_->kind == NormKind::batch);
  std::vector<T> sum(width_, T{0}), with_zhat(width_, T{0});
  cpu::batch_norm_backward_sums<T>(hidden(), mean_.data(), rstd_.data(), dy, sum.data(), with_zhat.data());
  std::copy(sum.begin(), sum.end(), tile.sum_dy.begin() + static_cast<std::ptrdiff_t>(first_column_));
  std::copy(with_zhat.begin(), with_zhat.end(), tile.sum_dy_zhat.begin() + static_cast<std::ptrdiff_t>(first_column_));
}

template <class T>
void ActNorm<T>::backward(MatrixView<const T> dy, MatrixView<T> dz, T* dgain, T* doffset) {
  if (norm_->kind == NormKind::none) {
    cpu::activation_backward<T>(activation_, pre_, dy, dz);
    return;
  }
  const T* const gain = parameters_->value(norm_->gain);
  if (dgain == nullptr) dgain = doffset = discard_.data();
  if (norm_->kind == NormKind::layer) {
    cpu::layer_norm_backward<T>(hidden(), gain, mean_.data(), rstd_.data(), dy, dz, dgain, doffset);
  } else {
    cpu::batch_norm_backward_sums<T>(hidden(), mean_.data(), rstd_.data(), dy, doffset, dgain);
    cpu::batch_norm_backward<T>(hidden(), mean_.data(), rstd_.data(), gain, sum_dy_.data(), sum_dy_zhat_.data(),
                                batch_rows_, dy, dz);
  }
  cpu::activation_backward<T>(activation_, pre_, dz, dz);
}

template class ActNorm<float>;
template class ActNorm<double>;

}  // namespace strata
