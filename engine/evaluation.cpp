#include "engine/evaluation.hpp"

#include <tbb/enumerable_thread_specific.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/roc_auc.hpp"
#include "engine/row_access.hpp"
#include "kernels/base/error.hpp"
#include "kernels/loss.hpp"

namespace strata {

namespace {

// What one tile of up to kChunkRows ids adds; tiles are added in their order, so threads change nothing.
struct TileScore {
  double loss = 0;
  std::uint64_t nodes = 0, correct = 0;
  std::uint64_t both = 0, predicted = 0, wanted = 0;  // multi-label: positives right, predicted, true
};

template <class T>
TileScore score_multiclass(const Labels& labels, std::span<const NodeId> ids, MatrixView<const T> logits) {
  std::int32_t classes[kChunkRows];
  TileScore score;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    classes[i] = labels.classes[ids[i]];
    if (classes[i] == kUnlabelled) continue;
    ++score.nodes;
    if (predicted_class<T>(logits.row_span(i)) == classes[i]) ++score.correct;
  }
  score.loss = cpu::softmax_cross_entropy<T>(logits, classes, T{1}, MatrixView<T>());
  return score;
}

template <class T>
TileScore score_multilabel(const Labels& labels, std::span<const NodeId> ids, MatrixView<const T> logits) {
  const std::size_t stride = labels.target_stride;
  std::uint8_t labelled[kChunkRows];
  std::vector<std::uint8_t> targets(ids.size() * stride);
  TileScore score;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    labelled[i] = labels.labelled[ids[i]];
    const std::uint8_t* bits = labels.targets.data() + ids[i] * stride;
    std::copy_n(bits, stride, targets.data() + i * stride);
    if (labelled[i] == 0) continue;
    ++score.nodes;
    for (std::size_t c = 0; c < logits.cols; ++c) {
      const bool predicted = logits(i, c) > 0;
      const bool wanted = (bits[c / 8] >> (c % 8) & 1) != 0;
      score.both += predicted && wanted ? 1 : 0;
      score.predicted += predicted ? 1 : 0;
      score.wanted += wanted ? 1 : 0;
    }
  }
  score.loss = cpu::sigmoid_cross_entropy<T>(logits, targets.data(), stride, labelled, T{1}, MatrixView<T>());
  return score;
}

// body(tile number, ids of the tile, their logits) for all tiles, in parallel.
template <class T, class Body>
void for_each_tile(const RowSource& logits, std::span<const NodeId> ids, MemoryBudget& budget, Body&& body) {
  const std::size_t cols = logits.store->shape().cols;
  const std::size_t largest = std::min(kChunkRows, ids.size());
  tbb::enumerable_thread_specific<Array<T>> spaces([&] { return Array<T>(budget, largest * cols, "evaluation tile"); });
  tbb::parallel_for(std::size_t{0}, divide_up(ids.size(), kChunkRows), [&](std::size_t tile) {
    const std::size_t first = tile * kChunkRows;
    const std::span<const NodeId> part = ids.subspan(first, std::min(kChunkRows, ids.size() - first));
    const MatrixView<T> values(spaces.local().data(), part.size(), cols);
    read_nodes<T>(logits, part, values);
    body(tile, part, MatrixView<const T>(values));
  });
}

bool has_label(const Labels& labels, NodeId id) {
  return labels.task == Task::multilabel ? labels.labelled[id] != 0 : labels.classes[id] != kUnlabelled;
}

bool is_positive(const Labels& labels, NodeId id, std::size_t task) {
  if (labels.task == Task::multiclass) return labels.classes[id] == 1;
  return (labels.targets[id * labels.target_stride + task / 8] >> (task % 8) & 1) != 0;
}

// Sort keys of `count` tasks from `first_task`, task after task: keys[t * ids.size() + i].
template <class T>
void fill_keys(const RowSource& logits, const Labels& labels, std::span<const NodeId> ids, std::size_t first_task,
               std::size_t count, MemoryBudget& budget, std::span<std::uint64_t> keys) {
  const bool two_classes = labels.task == Task::multiclass;
  for_each_tile<T>(logits, ids, budget,
                   [&](std::size_t tile, std::span<const NodeId> part, MatrixView<const T> values) {
                     for (std::size_t t = 0; t < count; ++t) {
                       std::uint64_t* to = keys.data() + t * ids.size() + tile * kChunkRows;
                       for (std::size_t i = 0; i < part.size(); ++i) {
                         const T score = two_classes ? values(i, 1) - values(i, 0) : values(i, first_task + t);
                         to[i] = has_label(labels, part[i])
                                     ? auc_key(static_cast<float>(score), is_positive(labels, part[i], first_task + t))
                                     : kAucSkipped;
                       }
                     }
                   });
}

// As many tasks at a time as memory allows: fewer mean more passes over the logits, never another result. tile_bytes:
// what all threads together need to read their tiles must stay free.
Array<std::uint64_t> reserve_keys(std::size_t ids, std::size_t tasks, std::uint64_t tile_bytes, MemoryBudget& budget,
                                  std::size_t& at_once) {
  const std::uint64_t one = ids * sizeof(std::uint64_t);
  at_once = std::clamp<std::size_t>(budget.limit() / 4 / one, 1, tasks);
  for (;; at_once = (at_once + 1) / 2) {
    try {
      const Reservation tiles = budget.reserve(tile_bytes, "evaluation tiles");
      return {budget, ids * at_once, "scores for ROC-AUC"};
    } catch (const ResourceError&) {
      if (at_once == 1) throw;
    }
  }
}

template <class T>
double mean_roc_auc(const RowSource& logits, const Labels& labels, std::span<const NodeId> ids, MemoryBudget& budget) {
  const std::size_t tasks = labels.task == Task::multiclass ? 1 : logits.store->shape().cols;
  const std::size_t threads = tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism);
  const std::uint64_t tile =
      kChunkRows * logits.store->shape().cols * sizeof(T) + logits.store->shape().tile_slot(0, 0);
  std::size_t at_once = 0;
  const Array<std::uint64_t> keys = reserve_keys(ids.size(), tasks, threads * tile, budget, at_once);
  double sum = 0;
  std::size_t counted = 0;
  for (std::size_t first = 0; first < tasks; first += at_once) {
    const std::size_t count = std::min(at_once, tasks - first);
    fill_keys<T>(logits, labels, ids, first, count, budget, keys.span());
    std::vector<double> areas(count);
    tbb::parallel_for(std::size_t{0}, count,
                      [&](std::size_t t) { areas[t] = auc_of_keys(keys.span().subspan(t * ids.size(), ids.size())); });
    for (const double area : areas) {
      if (std::isnan(area)) continue;
      sum += area;
      ++counted;
    }
  }
  return counted == 0 ? 0.0 : sum / static_cast<double>(counted);
}

double ratio(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

void note_evaluation(Schedule::Scope& scope, const RowSource& logits) {
  for (const RowStore* part : {logits.store, logits.eval}) {
    if (part != nullptr) scope.use(*part, 0, part->shape().panels(), StoreUse::Kind::read, true);
  }
}

const char* metric_name(Metric metric) {
  switch (metric) {
    case Metric::accuracy: return "accuracy";
    case Metric::micro_f1: return "micro-f1";
    case Metric::roc_auc: return "roc-auc";
  }
  return "";
}

Metric choose_metric(const std::string& name, const StoreInfo& store) {
  if (store.task == Task::none) throw UsageError("--metric: the store has no labels to measure by");
  std::string wanted = name == "auto" ? store.metric : name;
  if (wanted.empty()) wanted = store.task == Task::multilabel ? "micro-f1" : "accuracy";
  if (wanted == "micro-f1") return Metric::micro_f1;
  if (wanted == "accuracy") {
    if (store.task != Task::multilabel) return Metric::accuracy;
    throw UsageError("--metric accuracy: the labels are multi-label; use micro-f1 or roc-auc");
  }
  if (wanted == "roc-auc") {
    if (store.task == Task::multilabel || store.classes == 2) return Metric::roc_auc;
    throw UsageError("--metric roc-auc: needs multi-label targets or two classes, the store has " +
                     std::to_string(store.classes) + " classes; use accuracy");
  }
  throw UsageError("--metric " + wanted + ": use auto, accuracy, micro-f1 or roc-auc");
}

template <class T>
SplitScore evaluate(const RowSource& logits, const Labels& labels, std::span<const NodeId> ids, Metric metric,
                    MemoryBudget& budget) {
  SplitScore result;
  if (ids.empty()) return result;
  std::vector<TileScore> tiles(divide_up(ids.size(), kChunkRows));
  for_each_tile<T>(logits, ids, budget,
                   [&](std::size_t tile, std::span<const NodeId> part, MatrixView<const T> values) {
                     tiles[tile] = labels.task == Task::multilabel ? score_multilabel<T>(labels, part, values)
                                                                   : score_multiclass<T>(labels, part, values);
                   });
  TileScore sum;
  for (const TileScore& tile : tiles) {
    sum.loss += tile.loss;
    sum.nodes += tile.nodes;
    sum.correct += tile.correct;
    sum.both += tile.both;
    sum.predicted += tile.predicted;
    sum.wanted += tile.wanted;
  }
  result.nodes = sum.nodes;
  if (sum.nodes == 0) return result;
  const std::uint64_t terms = sum.nodes * (labels.task == Task::multilabel ? logits.store->shape().cols : 1);
  result.loss = sum.loss / static_cast<double>(terms);
  if (metric == Metric::roc_auc) {
    result.metric = mean_roc_auc<T>(logits, labels, ids, budget);
  } else if (labels.task == Task::multilabel) {
    result.metric = ratio(2 * sum.both, sum.predicted + sum.wanted);
  } else {
    result.metric = ratio(sum.correct, sum.nodes);  // micro-F1 of one label a node is accuracy
  }
  return result;
}

template SplitScore evaluate<float>(const RowSource&, const Labels&, std::span<const NodeId>, Metric, MemoryBudget&);
template SplitScore evaluate<double>(const RowSource&, const Labels&, std::span<const NodeId>, Metric, MemoryBudget&);

}  // namespace strata
