#include "engine/inference.hpp"

namespace strata {

template <class T>
Inference<T>::Inference(Session<T>& session, std::span<const NodeId> wanted, bool embeddings)
    : session_(session),
      sets_(session.store, aggregation_flags(session.model), wanted, session.workers, session.budget),
      rows_(session, sets_, embeddings, GraphUse::evaluation) {
  session.drop_scales();
  rows_.sweep(session.model.layers.size(), Masks{}, SweepParts::all);
}

template <class T>
RowSource Inference<T>::embeddings() const {
  const std::size_t layers = session_.model.layers.size();
  if (layers > 1) return rows_.by_node(layers - 2);
  const bool aggregates = session_.model.layers.front().aggregates();
  return {aggregates ? session_.aggregate_for(GraphUse::evaluation) : session_.features, sets_.inputs(1), nullptr};
}

template class Inference<float>;
template class Inference<double>;

}  // namespace strata
