#include "engine/objective.hpp"

#include <algorithm>

#include "kernels/base/error.hpp"
#include "kernels/loss.hpp"

namespace strata {

namespace {

bool has_label(const Labels& labels, NodeId id) {
  return labels.task == Task::multilabel ? labels.labelled[id] != 0 : labels.classes[id] != kUnlabelled;
}

Array<NodeId> labelled_split(const Store& store, const Labels& labels, const char* name, MemoryBudget& budget) {
  if (!store.has_split(name)) return {};
  Array<NodeId> all = store.split(name, budget);
  const auto keep = [&](NodeId id) { return has_label(labels, id); };
  const std::size_t count = static_cast<std::size_t>(std::count_if(all.begin(), all.end(), keep));
  if (count == all.size()) return all;
  Array<NodeId> kept(budget, count, "labelled nodes of a split");
  std::copy_if(all.begin(), all.end(), kept.begin(), keep);
  return kept;
}

}  // namespace

template <class T>
Objective<T>::Objective(const Store& store, MemoryBudget& budget) : labels_(store.labels(budget)) {
  if (labels_.task == Task::none) throw UsageError(store.path().string() + ": the store has no labels to train on");
  train_ = labelled_split(store, labels_, "train", budget);
  valid_ = labelled_split(store, labels_, "valid", budget);
  test_ = labelled_split(store, labels_, "test", budget);
  if (train_.empty()) throw UsageError(store.path().string() + ": the store's training split has no labelled node");
  training_ = Array<std::uint8_t>(budget, store.info().nodes, "training mask");
  for (const NodeId id : train_.span()) training_[id] = 1;
  classes_ = store.info().classes;
}

template <class T>
double Objective<T>::mean_scale() const {
  const double n = static_cast<double>(train_.size());
  return 1.0 / (labels_.task == Task::multilabel ? n * static_cast<double>(classes_) : n);
}

template <class T>
typename Objective<T>::Tile Objective<T>::gradient(std::span<const NodeId> ids, MatrixView<const T> logits, T scale,
                                                   MatrixView<T> dlogits) const {
  STRATA_ASSERT(ids.size() <= kChunkRows && logits.rows <= kChunkRows);
  Tile tile;
  if (labels_.task == Task::multiclass) {
    std::int32_t labels[kChunkRows];
    std::fill_n(labels, logits.rows, kUnlabelled);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (training_[ids[i]] == 0) continue;
      labels[i] = labels_.classes[ids[i]];
      ++tile.counted;
    }
    tile.loss_sum = cpu::softmax_cross_entropy<T>(logits, labels, scale, dlogits);
    return tile;
  }
  std::uint8_t labelled[kChunkRows] = {};
  const std::size_t stride = labels_.target_stride;
  std::vector<std::uint8_t> targets(logits.rows * stride);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (training_[ids[i]] == 0) continue;
    labelled[i] = 1;
    ++tile.counted;
    std::copy_n(labels_.targets.data() + ids[i] * stride, stride, targets.data() + i * stride);
  }
  tile.loss_sum = cpu::sigmoid_cross_entropy<T>(logits, targets.data(), stride, labelled, scale, dlogits);
  return tile;
}

template class Objective<float>;
template class Objective<double>;

}  // namespace strata
