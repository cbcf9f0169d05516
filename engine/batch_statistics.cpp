#include "engine/batch_statistics.hpp"

#include "kernels/base/error.hpp"

namespace strata {

void BatchStatistics::clear(std::size_t columns) {
  rows = 0;
  mean.assign(columns, 0);
  squares.assign(columns, 0);
  sum_dy.assign(columns, 0);
  sum_dy_zhat.assign(columns, 0);
}

void BatchStatistics::add_rows(const BatchStatistics& tile) {
  STRATA_ASSERT(mean.size() == tile.mean.size());
  if (tile.rows == 0) return;
  const double before = static_cast<double>(rows), more = static_cast<double>(tile.rows), all = before + more;
  for (std::size_t c = 0; c < mean.size(); ++c) {
    const double apart = tile.mean[c] - mean[c];
    mean[c] += apart * (more / all);
    squares[c] += tile.squares[c] + apart * apart * (before * more / all);
  }
  rows += tile.rows;
}

void BatchStatistics::add_gradients(const BatchStatistics& tile) {
  STRATA_ASSERT(sum_dy.size() == tile.sum_dy.size());
  for (std::size_t c = 0; c < sum_dy.size(); ++c) {
    sum_dy[c] += tile.sum_dy[c];
    sum_dy_zhat[c] += tile.sum_dy_zhat[c];
  }
}

template <class T>
void update_running_statistics(const LayerSpec& layer, const BatchStatistics& batch, const Parameters<T>& parameters) {
  if (!layer.has_batch_norm() || batch.rows == 0) return;
  const double n = static_cast<double>(batch.rows);
  std::size_t column = 0;
  for (const NormSpec& norm : layer.after) {
    if (norm.kind != NormKind::batch) continue;
    T* const mean = parameters.value(norm.mean);
    T* const variance = parameters.value(norm.variance);
    const std::size_t width = parameters.tensors()[norm.mean].size();
    for (std::size_t c = 0; c < width; ++c, ++column) {
      const double unbiased = batch.squares[column] / (n > 1 ? n - 1 : 1);
      mean[c] = static_cast<T>((1 - kBatchNormMomentum) * static_cast<double>(mean[c]) +
                               kBatchNormMomentum * batch.mean[column]);
      variance[c] =
          static_cast<T>((1 - kBatchNormMomentum) * static_cast<double>(variance[c]) + kBatchNormMomentum * unbiased);
    }
  }
}

template void update_running_statistics(const LayerSpec&, const BatchStatistics&, const Parameters<float>&);
template void update_running_statistics(const LayerSpec&, const BatchStatistics&, const Parameters<double>&);

}  // namespace strata
