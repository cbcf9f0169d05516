#include "engine/methods/layer_steps.hpp"

#include "kernels/base/error.hpp"

namespace strata {

template <class T>
LayerSteps<T>::LayerSteps(Session<T>& session) : session_(session) {
  const std::size_t batch_size = session.options.batch_size != 0 ? session.options.batch_size : kStepBatchSize;
  const std::size_t top_size = session.options.top_batch_size != 0 ? session.options.top_batch_size : batch_size;
  for (std::size_t l = 0; l <= top(); ++l) {
    plans_.emplace_back(std::span<const NodeId>{}, session.rows(l).train_rows(), l == top() ? top_size : batch_size,
                        session.options.seed, static_cast<std::uint32_t>(l));
  }
}

template <class T>
void LayerSteps<T>::begin(std::uint32_t epoch, const EpochBatches* batches, const StepObserver<T>& observer) {
  epoch_ = epoch;
  batches_ = batches;
  observer_ = &observer;
  report_ = {};
  top_loss_ = 0;
  top_steps_ = 0;
}

template <class T>
EpochReport LayerSteps<T>::report() const {
  EpochReport report = report_;
  if (top_steps_ > 0) report.loss = top_loss_ / static_cast<double>(top_steps_);
  return report;
}

template <class T>
std::vector<std::vector<std::uint32_t>> LayerSteps<T>::batches_of(std::size_t layer, BatchPart part) const {
  const auto part_of = [&](const auto& all) {
    const auto cut = [&](std::size_t i) { return all.begin() + divide_up(i * all.size(), part.of); };
    return std::span(cut(part.number), cut(part.number + 1));
  };
  std::vector<std::vector<std::uint32_t>> result;
  if (batches_ == nullptr) {
    const std::vector<std::uint32_t> order = plans_[layer].order(epoch_);
    for (const std::uint32_t b : part_of(order)) result.push_back(plans_[layer].nodes(b));
    return result;
  }
  const std::string& group = session_.model.group_names[session_.model.layers[layer].group];
  std::vector<const ExplicitBatch*> own;
  for (const ExplicitBatch& batch : *batches_) {
    if (batch.group == "all") throw UsageError("--batch-file: this method steps one group at a time, not \"all\"");
    if (batch.group == group) own.push_back(&batch);
  }
  for (const ExplicitBatch* batch : part_of(own)) {
    std::vector<std::uint32_t> rows(batch->nodes.size());
    session_.rows(layer).rows_of(batch->nodes, true, rows);
    std::erase(rows, kNoRow);  // no training node sees these: their gradient is zero
    result.push_back(std::move(rows));
  }
  return result;
}

template <class T>
void LayerSteps<T>::run(std::size_t layer, const LayerInputs& inputs, const RowStore* alpha, BatchPart part,
                        std::uint64_t& global_step) {
  STRATA_ASSERT((alpha == nullptr) == (layer == top()));
  const std::size_t group = session_.model.layers[layer].group;
  const std::vector<std::vector<std::uint32_t>> batches = batches_of(layer, part);
  StepScan<T> scan(session_, layer, inputs, alpha, batches);
  if (!scan.begin()) return;
  for (const std::vector<std::uint32_t>& rows : batches) {
    BackwardPass<T> pass;
    pass.layer = layer;
    pass.inputs = inputs;
    pass.alpha = alpha;
    pass.masks = {session_.model.has_dropout(), session_.options.seed, static_cast<std::uint32_t>(global_step), true};
    pass.rows = &rows;
    pass.scan = scan.ahead();
    pass.parameters = true;
    session_.parameters.zero_gradients(group);
    const PassTotals sums = backward_pass(session_, pass);
    const double loss = alpha != nullptr ? sums.inner : mean_loss(sums);
    const StepEvent event{epoch_, ++global_step, session_.parameters.group_name(group), loss};
    if (observer_->before_step) observer_->before_step(event, session_.parameters);
    session_.parameters.step(session_.options.optimizer, session_.options.optimizer.rate(epoch_ - 1), group, group + 1,
                             gradient_scale(layer, rows.size()));
    update_running_statistics(session_.model.layers[layer], session_.statistics[layer], session_.parameters);
    if (observer_->after_step) observer_->after_step(event, session_.parameters);
    ++report_.steps;
    report_.node_visits += rows.size();
  }
}

// A step's gradient is a sum over its batch, that is this many times the batch's share of the mean loss's gradient.
template <class T>
double LayerSteps<T>::gradient_scale(std::size_t layer, std::size_t rows) const {
  return static_cast<double>(rows) / session_.rows(layer).train_rows() / session_.objective.mean_scale();
}

template <class T>
double LayerSteps<T>::mean_loss(const PassTotals& sums) {
  const bool multilabel = session_.objective.labels().task == Task::multilabel;
  const std::uint64_t terms = sums.counted * (multilabel ? session_.model.classes : 1);
  const double loss = terms > 0 ? sums.loss_sum / static_cast<double>(terms) : 0;
  top_loss_ += loss;
  ++top_steps_;
  return loss;
}

template class LayerSteps<float>;
template class LayerSteps<double>;

}  // namespace strata
