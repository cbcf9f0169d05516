// The end of a layer, or of a branch of one, whose activation comes before its norm: y = norm(act(z)), for the rows of
// a tile. LayerNorm normalises each row, BatchNorm each column by the statistics of a whole batch or by running ones.
#pragma once

#include <cstddef>
#include <span>

#include "engine/batch_statistics.hpp"
#include "engine/model.hpp"
#include "engine/parameters.hpp"
#include "engine/scratch.hpp"

namespace strata {

template <class T>
class ActNorm {
 public:
  // norm, parameters: must outlive this. first_column: of `width` in the layer's BatchStatistics.
  ActNorm(const NormSpec& norm, Activation activation, std::size_t width, std::size_t first_column,
          const Parameters<T>& parameters, ScratchMemory::Use& scratch, std::size_t slot);
  [[nodiscard]] static std::uint64_t memory_bytes(const NormSpec& norm, std::size_t width);

  // BatchNorm: what to normalise by from now on, as it stands; null, and at first: the running statistics, which are
  // constants on the way back.
  void normalise_by(const BatchStatistics* batch);

  // First z (rows x width), which must stay as it is, ...
  void activate(MatrixView<T> z);
  // ... then what its activations are in this tile, ...
  void fill_statistics(BatchStatistics& tile) const;
  // ... or y, and what the gradient at y adds up to, ...
  void normalise(MatrixView<T> y);
  void fill_gradient_sums(MatrixView<const T> dy, BatchStatistics& tile) const;
  // ... and the gradient at z. dz may be neither y nor dy. dgain, doffset (width values): added to; null: not wanted.
  void backward(MatrixView<const T> dy, MatrixView<T> dz, T* dgain, T* doffset);

 private:
  [[nodiscard]] MatrixView<T> hidden() const { return {hidden_.data(), pre_.rows, width_}; }

  const NormSpec* norm_;
  Activation activation_;
  std::size_t width_, first_column_;
  const Parameters<T>* parameters_;
  MatrixView<T> pre_;                  // z
  std::span<T> hidden_;                // act(z); none without a norm
  std::span<T> mean_, rstd_;           // by row (LayerNorm) or by column (BatchNorm)
  std::span<T> discard_;               // where gradients go that nobody wants
  std::span<T> sum_dy_, sum_dy_zhat_;  // BatchNorm: of the whole batch
  std::size_t batch_rows_ = 1;
};

extern template class ActNorm<float>;
extern template class ActNorm<double>;

}  // namespace strata
