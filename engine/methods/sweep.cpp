#include "engine/methods/sweep.hpp"

#include <string>

#include "engine/projection.hpp"

namespace strata {

template <class T>
ForwardRows<T>::ForwardRows(Session<T>& session) : session_(session) {
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

template <class T>
void ForwardRows<T>::transform(std::size_t layer, const Masks& masks) {
  forward_pass(session_, layer, inputs(layer), masks, x_[layer]);
}

template <class T>
void ForwardRows<T>::aggregate(std::size_t layer) {
  const LayerSpec& spec = session_.model.layers[layer];
  if (layer == 0 || !spec.aggregates()) return;
  if (!spec.transform_first) {
    session_.aggregate_rows(false, x_[layer - 1], nullptr, z_[layer]);
    return;
  }
  RowStore u = session_.make_rows("U" + std::to_string(layer + 1), spec.out);
  project_forward(session_, layer, x_[layer - 1], u);
  session_.aggregate_rows(false, u, nullptr, z_[layer]);
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
