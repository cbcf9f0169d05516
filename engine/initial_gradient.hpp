// The gradient at X^1 that layers with an initial residual (gcnii) leave beside what goes through the aggregations.
// Going down, every such layer adds its own share, in T and in this order, to what the layers above have gathered; the
// lowest of them adds the sum to alpha^1. Rows are kept exactly until then.
//
// They are gathered at the rows of the layer that adds: A_k holds A_{k+1}, whose other rows have no share of layers
// above, so a store is never written at scattered rows. Layers with the same rows add in place.
#pragma once

#include "engine/row_source.hpp"
#include "engine/session.hpp"

namespace strata {

// What one layer's backward pass does with it.
struct InitialGradient {
  RowSource above;            // what the layers above have gathered; none: nothing, or it is in `store`
  RowStore* store = nullptr;  // takes the sum at the layer's rows; null: not wanted
  bool adds = false;          // the sum so far lies in `store`
};

template <class T>
class InitialGathering {
 public:
  explicit InitialGathering(Session<T>& session) : session_(session) {}
  InitialGathering(const InitialGathering&) = delete;
  InitialGathering& operator=(const InitialGathering&) = delete;

  // For the layers from the top down; holds until the next call. Nothing for layers without an initial residual.
  [[nodiscard]] InitialGradient next(std::size_t layer);
  // The sum has been used: its rows may go.
  void clear() {
    above_ = RowStore();
    store_ = RowStore();
  }

 private:
  Session<T>& session_;
  RowStore above_, store_;
  const RowMap* map_ = nullptr;  // of store_
};

extern template class InitialGathering<float>;
extern template class InitialGathering<double>;

}  // namespace strata
