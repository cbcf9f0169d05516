#include "engine/methods/sweep.hpp"

#include <string>

#include "engine/projection.hpp"

namespace strata {

template <class T>
ForwardRows<T>::ForwardRows(Session<T>& session, bool keep_hidden) : session_(session), keep_hidden_(keep_hidden) {
  const auto& layers = session.model.layers;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const std::string number = std::to_string(l + 1);
    z_.push_back(l > 0 && layers[l].aggregates() ? session.make_rows("Z" + number, layers[l].z_width()) : RowStore());
    x_.push_back(l + 1 == layers.size() ? session.make_exact("logits", layers[l].out)
                                        : session.make_rows("X" + number, layers[l].out));
  }
}

template <class T>
const RowStore& ForwardRows<T>::input_rows(std::size_t layer) const {
  return layer == 0 ? session_.features : x_[layer - 1];
}

template <class T>
LayerInputs ForwardRows<T>::inputs(std::size_t layer) const {
  const LayerSpec& spec = session_.model.layers[layer];
  LayerInputs inputs;
  if (spec.aggregates()) {
    inputs.z = layer == 0 ? &session_.aggregate : &z_[layer];
  } else {
    inputs.z = &input_rows(layer);
  }
  if (spec.has_root()) inputs.root = &input_rows(layer);
  if (spec.skip > 0) inputs.skip = layer >= spec.skip ? &x_[layer - spec.skip] : &session_.features;
  return inputs;
}

// A root term, a residual, a layer without aggregation and one that transforms first read X row by row.
template <class T>
bool ForwardRows<T>::stores_x(std::size_t layer) const {
  if (keep_hidden_ || layer + 1 == x_.size()) return true;
  const LayerSpec& next = session_.model.layers[layer + 1];
  if (next.skip == 1 || next.skipped_over) return true;
  return !next.aggregates() || next.has_root() || next.transform_first;
}

template <class T>
void ForwardRows<T>::transform(std::size_t layer, const Masks& masks) {
  RowSink<T> sink{&x_[layer], nullptr, stores_x(layer)};
  const bool feeds = layer + 1 < x_.size() && session_.model.layers[layer + 1].aggregates() &&
                     !session_.model.layers[layer + 1].transform_first;
  if (feeds) {
    product_ = std::make_unique<ExternalSpmm<T>>(session_, std::to_string(layer + 2), false, x_[layer].shape(), nullptr,
                                                 z_[layer + 1]);
    sink.spmm = product_.get();
  }
  forward_pass(session_, layer, inputs(layer), masks, sink);
}

template <class T>
const RowStore& ForwardRows<T>::exact_x(std::size_t layer) {
  if (!stores_x(layer)) forward_pass(session_, layer, inputs(layer), Masks{}, RowSink<T>{&x_[layer], nullptr, true});
  return x_[layer];
}

template <class T>
void ForwardRows<T>::aggregate(std::size_t layer) {
  const LayerSpec& spec = session_.model.layers[layer];
  if (layer == 0 || !spec.aggregates()) return;
  if (product_ != nullptr) {
    product_->run(&x_[layer - 1], product_->taken_panels() > 0);
    product_.reset();
    return;
  }
  const std::string number = std::to_string(layer + 1);
  const RowStore& x = x_[layer - 1];
  if (!spec.transform_first) {
    ExternalSpmm<T>(session_, number, false, x.shape(), nullptr, z_[layer]).run(&x, false);
    return;
  }
  const RowShape shape{session_.nodes(), spec.out, session_.options.codec};
  ExternalSpmm<T> product(session_, number, false, shape, nullptr, z_[layer]);
  RowStore u;  // what the product does not hold itself
  if (product.taken_panels() < shape.panels()) u = session_.make_rows("U" + number, spec.out);
  project_forward(session_, layer, x, RowSink<T>{u ? &u : nullptr, &product, false});
  product.run(u ? &u : nullptr, product.taken_panels() > 0);
}

template <class T>
void ForwardRows<T>::sweep(std::size_t last, const Masks& masks) {
  for (std::size_t l = 0; l < last; ++l) {
    aggregate(l);
    transform(l, masks);
  }
}

template class ForwardRows<float>;
template class ForwardRows<double>;

}  // namespace strata
