// What batch norm needs to know of a whole batch, which spans several tiles: filled a tile at a time, added up in tile
// order, so that threads change no bit. Columns: those of the layer's activations, of saint both branches' in turn.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/model.hpp"
#include "engine/parameters.hpp"

namespace strata {

struct BatchStatistics {
  std::uint64_t rows = 0;
  std::vector<double> mean, squares;        // per column: mean, and sum of squared deviations from it
  std::vector<double> sum_dy, sum_dy_zhat;  // per column: of the gradient at the norm's output, and of it times zhat

  void clear(std::size_t columns);
  // The rows of a further tile: means and deviations of both together (Chan, Golub & LeVeque 1979).
  void add_rows(const BatchStatistics& tile);
  void add_gradients(const BatchStatistics& tile);
};

inline constexpr double kBatchNormMomentum = 0.1;  // PyTorch's

// The layer's running statistics <- (1 - momentum) running + momentum batch, the variance unbiased. Nothing for a batch
// without rows.
template <class T>
void update_running_statistics(const LayerSpec& layer, const BatchStatistics& batch, const Parameters<T>& parameters);

}  // namespace strata
