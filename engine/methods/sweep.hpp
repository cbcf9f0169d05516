// The forward rows of all layers, X^k and Z^k, over all nodes: what every full sweep fills and every pass reads.
#pragma once

#include <memory>
#include <vector>

#include "engine/layer_pass.hpp"
#include "engine/session.hpp"

namespace strata {

template <class T>
class ForwardRows {
 public:
  // keep_hidden: X of every layer is wanted as it is, not only to be aggregated.
  ForwardRows(Session<T>& session, bool keep_hidden);

  // X^k of layer index l from its inputs. Where nobody but the next layer's aggregation wants X, its columns go
  // straight into that product's memory: aggregate(l + 1) must come next.
  void transform(std::size_t layer, const Masks& masks);
  // Z of layer index l (> 0) from X of l - 1; nothing for a layer that does not aggregate.
  void aggregate(std::size_t layer);
  // Both, for layers [0, last).
  void sweep(std::size_t last, const Masks& masks);

  [[nodiscard]] LayerInputs inputs(std::size_t layer) const;
  // X of layer index l, which stores it.
  [[nodiscard]] const RowStore& x(std::size_t layer) const { return x_[layer]; }
  [[nodiscard]] bool stores_x(std::size_t layer) const;
  // The same for any layer, computed now if it is not stored; its inputs must be fresh and free of dropout.
  [[nodiscard]] const RowStore& exact_x(std::size_t layer);
  // X of the layer below: the features for layer 0.
  [[nodiscard]] const RowStore& input_rows(std::size_t layer) const;
  [[nodiscard]] const RowStore& logits() const { return x_.back(); }

 private:
  Session<T>& session_;
  bool keep_hidden_;
  std::vector<RowStore> x_;                   // by layer index; the last one holds the logits
  std::vector<RowStore> z_;                   // empty handles for layer 0 and for layers that do not aggregate
  std::unique_ptr<ExternalSpmm<T>> product_;  // of the next layer, which holds columns of the last X already
};

extern template class ForwardRows<float>;
extern template class ForwardRows<double>;

}  // namespace strata
