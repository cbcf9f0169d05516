#include "engine/methods/iglu.hpp"

#include <string>

#include "kernels/base/error.hpp"

namespace strata {

template <class T>
IgluMethod<T>::IgluMethod(Session<T>& session) : session_(session), rows_(session, false) {
  const std::size_t batch_size = session.options.batch_size != 0 ? session.options.batch_size : kIgluBatchSize;
  for (std::size_t l = 0; l < layers(); ++l) {
    const bool is_top = l == top();
    if (!is_top) alpha_.push_back(session.make_alpha("alpha" + std::to_string(l + 1), session.model.layers[l].out));
    const auto nodes = is_top ? session.objective.train_nodes() : std::span<const NodeId>{};
    plans_.emplace_back(nodes, is_top ? nodes.size() : session.nodes(), batch_size, session.options.seed,
                        static_cast<std::uint32_t>(l));
  }
}

template <class T>
void IgluMethod<T>::refresh_alpha() {
  for (std::size_t l = top(); l > 0; --l) {
    BackwardPass<T> pass;
    pass.layer = l;
    pass.inputs = rows_.inputs(l);
    pass.alpha = l == top() ? nullptr : &alpha_[l];
    backward_to_inputs(session_, pass, rows_.input_rows(l), &alpha_[l - 1]);
  }
}

// The inputs of every layer; the logits wait until somebody asks.
template <class T>
void IgluMethod<T>::prepare() {
  rows_.sweep(top(), Masks{});
  rows_.aggregate(top());
  logits_are_fresh_ = false;
}

template <class T>
const RowStore& IgluMethod<T>::logits() {
  if (!logits_are_fresh_) rows_.transform(top(), Masks{});
  logits_are_fresh_ = true;
  return rows_.logits();
}

template <class T>
EpochReport IgluMethod<T>::train_epoch(std::uint32_t epoch, const EpochBatches* batches,
                                       const StepObserver<T>& observer) {
  logits_are_fresh_ = false;
  refresh_alpha();
  if (observer.progress) observer.progress(0.4);
  Totals totals;
  for (std::size_t l = 0; l < layers(); ++l) {
    train_layer(l, epoch, batches, observer, totals);
    if (l < top()) {
      rows_.transform(l, Masks{});
      rows_.aggregate(l + 1);
    }
    if (observer.progress) observer.progress(0.4 + 0.6 * static_cast<double>(l + 1) / static_cast<double>(layers()));
  }
  if (totals.top_steps > 0) totals.report.loss = totals.top_loss / static_cast<double>(totals.top_steps);
  return totals.report;
}

template <class T>
std::vector<std::vector<NodeId>> IgluMethod<T>::batches_of(std::size_t layer, std::uint32_t epoch,
                                                           const EpochBatches* batches) const {
  std::vector<std::vector<NodeId>> result;
  if (batches != nullptr) {
    const std::string& group = session_.model.group_names[session_.model.layers[layer].group];
    for (const ExplicitBatch& batch : *batches) {
      if (batch.group == "all") throw UsageError("--batch-file: method iglu steps one group at a time, not \"all\"");
      if (batch.group == group) result.push_back(batch.nodes);
    }
    return result;
  }
  for (const std::uint32_t b : plans_[layer].order(epoch)) result.push_back(plans_[layer].nodes(b));
  return result;
}

template <class T>
void IgluMethod<T>::train_layer(std::size_t layer, std::uint32_t epoch, const EpochBatches* batches,
                                const StepObserver<T>& observer, Totals& totals) {
  const std::size_t group = session_.model.layers[layer].group;
  const std::vector<std::vector<NodeId>> order = batches_of(layer, epoch, batches);
  StepScan<T> scan(session_, layer, rows_.inputs(layer), layer == top() ? nullptr : &alpha_[layer], order);
  if (!scan.begin()) return;
  for (const std::vector<NodeId>& nodes : order) {
    if (nodes.empty()) continue;
    session_.parameters.zero_gradients(group);
    const double loss = step_gradients(layer, nodes, scan.ahead(), totals);
    const StepEvent event{epoch, ++this->global_step_, session_.parameters.group_name(group), loss};
    if (observer.before_step) observer.before_step(event, session_.parameters);
    session_.parameters.step(session_.options.optimizer, session_.options.optimizer.rate(epoch - 1), group, group + 1,
                             gradient_scale(layer, nodes));
    if (observer.after_step) observer.after_step(event, session_.parameters);
    ++totals.report.steps;
    totals.report.node_visits += nodes.size();
  }
}

// A step's gradient is a sum over its batch, that is this many times the batch's share of the mean loss's gradient.
template <class T>
double IgluMethod<T>::gradient_scale(std::size_t layer, std::span<const NodeId> nodes) const {
  const double rows = static_cast<double>(layer == top() ? session_.objective.train_nodes().size() : session_.nodes());
  return static_cast<double>(nodes.size()) / rows / session_.objective.mean_scale();
}

template <class T>
double IgluMethod<T>::step_gradients(std::size_t layer, std::span<const NodeId> nodes, ReadAhead* scan,
                                     Totals& totals) {
  BackwardPass<T> pass;
  pass.layer = layer;
  pass.inputs = rows_.inputs(layer);
  pass.masks = {session_.model.has_dropout(), session_.options.seed, static_cast<std::uint32_t>(this->global_step_)};
  pass.nodes = nodes;
  pass.scan = scan;
  pass.parameters = true;
  if (layer != top()) {
    pass.alpha = &alpha_[layer];
    return backward_pass(session_, pass).inner;
  }
  const PassTotals sums = backward_pass(session_, pass);
  const bool multilabel = session_.objective.labels().task == Task::multilabel;
  const std::uint64_t terms = sums.counted * (multilabel ? session_.model.classes : 1);
  const double loss = terms > 0 ? sums.loss_sum / static_cast<double>(terms) : 0;
  totals.top_loss += loss;
  ++totals.top_steps;
  return loss;
}

template class IgluMethod<float>;
template class IgluMethod<double>;

}  // namespace strata
