#include "engine/methods/sweep.hpp"

#include <string>

#include "engine/projection.hpp"
#include "kernels/base/error.hpp"

namespace strata {

namespace {

std::vector<RowPart> list_of(SweepParts parts) {
  if (parts == SweepParts::train) return {RowPart::train};
  return {RowPart::train, RowPart::eval};
}

}  // namespace

template <class T>
ForwardRows<T>::ForwardRows(Session<T>& session, const ActiveSets& sets, bool keep_hidden, GraphUse use)
    : session_(session),
      sets_(sets),
      keep_hidden_(keep_hidden),
      use_(use),
      suffix_(session.inductive && use == GraphUse::evaluation ? " of the full graph" : "") {
  const auto& layers = session.model.layers;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const std::string number = std::to_string(l + 1);
    Parts z, x;
    for (const RowPart part : list_of(SweepParts::all)) {
      const std::size_t rows = map(l).part(part).size();
      const std::string name = (part == RowPart::train ? number : number + " to evaluate") + suffix_;
      const bool drops = part == RowPart::train && session.options.method == MethodKind::full;
      if (part == RowPart::eval && rows == 0) continue;
      has_eval_rows_ = has_eval_rows_ || part == RowPart::eval;
      if (l > 0 && layers[l].aggregates()) {
        z.part(part) = session.make_rows("Z" + name, rows, layers[l].z_width());
      }
      x.part(part) = l + 1 == layers.size()
                         ? session.make_exact("logits " + name, rows, layers[l].out)
                         : session.make_rows("X" + name, rows, layers[l].out, expected_kept(session.model, l, drops));
    }
    z_.push_back(std::move(z));
    x_.push_back(std::move(x));
  }
}

template <class T>
RowSource ForwardRows<T>::by_node(std::size_t layer) const {
  const Parts& x = x_[layer];
  return {x.train, map(layer), x.eval ? &x.eval : nullptr};
}

// X of the layer `back` below layer index l, or the features, as a pass over a part of layer l's rows reads it.
template <class T>
RowSource ForwardRows<T>::input_rows(std::size_t layer, std::size_t back, RowPart part) const {
  const bool features = layer < back;
  const RowMap& order = features ? sets_.inputs(1) : map(layer - back);
  const bool same = &order == &map(layer) || (order.is_identity() && map(layer).is_identity());
  if (features) return same ? RowSource(session_.features) : RowSource(session_.features, order, nullptr);
  return same ? RowSource(x_[layer - back].part(part)) : by_node(layer - back);
}

template <class T>
LayerInputs ForwardRows<T>::inputs(std::size_t layer, RowPart part) const {
  const LayerSpec& spec = session_.model.layers[layer];
  LayerInputs inputs;
  if (!spec.aggregates()) {
    inputs.z = input_rows(layer, 1, part);
  } else if (layer > 0) {
    inputs.z = z_[layer].part(part);
  } else {
    const RowStore& aggregate = session_.aggregate_for(use_);
    inputs.z = map(0).is_identity() ? RowSource(aggregate) : RowSource(aggregate, sets_.inputs(1), nullptr);
  }
  if (spec.has_root()) inputs.root = input_rows(layer, 1, part);
  if (spec.skip > 0) inputs.skip = input_rows(layer, spec.skip, part);
  if (spec.initial) inputs.initial = input_rows(layer, layer, part);
  return inputs;
}

// A root term, a residual, an initial residual (of X^1), a layer without aggregation and one that transforms first read
// X row by row.
template <class T>
bool ForwardRows<T>::stores_x(std::size_t layer) const {
  if (keep_hidden_ || layer + 1 == x_.size()) return true;
  const LayerSpec& next = session_.model.layers[layer + 1];
  if (next.skip == 1 || next.skipped_over || (layer == 0 && next.initial)) return true;
  return !next.aggregates() || next.has_root() || next.transform_first;
}

// Of the rows of layer l - 1, or what was projected of them: `cols` columns.
template <class T>
std::unique_ptr<ExternalSpmm<T>> ForwardRows<T>::make_product(std::size_t layer, std::size_t cols, SweepParts parts) {
  const RowMap& from = map(layer - 1);
  const bool all = parts == SweepParts::all;
  std::vector<typename ExternalSpmm<T>::Output> outputs;
  for (const RowPart part : list_of(parts)) {
    if (z_[layer].part(part)) outputs.push_back({part, {}, &z_[layer].part(part)});
  }
  return std::make_unique<ExternalSpmm<T>>(
      session_, std::to_string(layer + 1), false,
      RowShape{all ? from.all_rows() : from.train_rows(), cols, session_.options.codec},
      ProductRows{&from, &map(layer), {RowPart::train, !all, true}}, std::move(outputs), &session_.graph_for(use_));
}

template <class T>
void ForwardRows<T>::transform(std::size_t layer, const Masks& masks, SweepParts parts) {
  const bool feeds = layer + 1 < x_.size() && session_.model.layers[layer + 1].aggregates() &&
                     !session_.model.layers[layer + 1].transform_first;
  if (feeds) product_ = make_product(layer + 1, session_.model.layers[layer].out, parts);
  for (const RowPart part : list_of(parts)) {
    RowStore& x = x_[layer].part(part);
    if (!x) continue;
    const RowSink<T> sink{&x, product_.get(), stores_x(layer), map(layer).first_row(part)};
    forward_pass(session_, layer, PassRows(map(layer), part), inputs(layer, part),
                 part == RowPart::train ? masks : Masks{}, sink);
  }
}

template <class T>
void ForwardRows<T>::aggregate(std::size_t layer, SweepParts parts) {
  const LayerSpec& spec = session_.model.layers[layer];
  if (layer == 0 || !spec.aggregates()) return;
  if (product_ == nullptr && spec.transform_first) {
    aggregate_projected(layer, parts);
    return;
  }
  const bool taken = product_ != nullptr;
  if (!taken) product_ = make_product(layer, spec.in, parts);
  std::vector<typename ExternalSpmm<T>::Source> x;
  for (const RowPart part : list_of(parts)) {
    if (x_[layer - 1].part(part)) x.push_back({&x_[layer - 1].part(part), map(layer - 1).first_row(part)});
  }
  product_->run(x, taken && product_->taken_panels() > 0);
  product_.reset();
}

template <class T>
void ForwardRows<T>::aggregate_projected(std::size_t layer, SweepParts parts) {
  const std::size_t cols = session_.model.layers[layer].out;
  const auto product = make_product(layer, cols, parts);
  std::vector<Parts> u(1);  // what the product does not hold itself
  std::vector<typename ExternalSpmm<T>::Source> sources;
  for (const RowPart part : list_of(parts)) {
    const RowStore& x = x_[layer - 1].part(part);
    if (!x) continue;
    RowStore& own = u[0].part(part);
    if (product->taken_panels() < panel_count(cols)) {
      const char* suffix = part == RowPart::train ? "" : " to evaluate";
      own = session_.make_rows("U" + std::to_string(layer + 1) + suffix + suffix_, x.shape().rows, cols);
    }
    const std::size_t first = map(layer - 1).first_row(part);
    project_forward(session_, layer, x, RowSink<T>{own ? &own : nullptr, product.get(), false, first});
    sources.push_back({own ? &own : nullptr, first});
  }
  product->run(sources, product->taken_panels() > 0);
}

template <class T>
void ForwardRows<T>::sweep(std::size_t last, const Masks& masks, SweepParts parts) {
  for (std::size_t l = 0; l < last; ++l) {
    aggregate(l, parts);
    transform(l, masks, parts);
  }
  if (last < x_.size()) aggregate(last, parts);
}

template class ForwardRows<float>;
template class ForwardRows<double>;

}  // namespace strata
