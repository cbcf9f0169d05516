// The model applied to any nodes under the present parameters: a sweep over just the rows they depend on.
#pragma once

#include "engine/methods/sweep.hpp"

namespace strata {

template <class T>
class Inference {
 public:
  // wanted: ascending. embeddings: those of the last hidden layer are wanted too.
  Inference(Session<T>& session, std::span<const NodeId> wanted, bool embeddings);
  Inference(const Inference&) = delete;
  Inference& operator=(const Inference&) = delete;
  ~Inference() { session_.drop_scales(); }

  // By node; both have the wanted nodes' rows at least.
  [[nodiscard]] RowSource logits() const { return rows_.logits(); }
  // X of the last hidden layer; of a model with a single layer its input.
  [[nodiscard]] RowSource embeddings() const;

 private:
  Session<T>& session_;
  ActiveSets sets_;
  ForwardRows<T> rows_;
};

extern template class Inference<float>;
extern template class Inference<double>;

}  // namespace strata
