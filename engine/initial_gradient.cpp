#include "engine/initial_gradient.hpp"

#include <string>
#include <utility>

namespace strata {

template <class T>
InitialGradient InitialGathering<T>::next(std::size_t layer) {
  const auto& layers = session_.model.layers;
  if (!layers[layer].initial) return {};
  const RowMap& rows = session_.rows(layer);
  const bool begins = layer + 1 == layers.size() || !layers[layer + 1].initial;
  if (!begins && (map_ == &rows || (map_->is_identity() && rows.is_identity()))) return {{}, &store_, true};
  above_ = begins ? RowStore() : std::move(store_);
  const RowMap* const above = std::exchange(map_, &rows);
  store_ = session_.make_exact("gradient at X1 from layer " + std::to_string(layer + 1), rows.train_rows(),
                               layers[layer].in);
  return {begins ? RowSource() : RowSource(above_, *above, nullptr), &store_, false};
}

template class InitialGathering<float>;
template class InitialGathering<double>;

}  // namespace strata
