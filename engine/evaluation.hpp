// Metrics over the splits from a row store of logits. methods.md 1.3.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <string>

#include "engine/row_source.hpp"
#include "engine/schedule.hpp"
#include "engine/workers.hpp"
#include "kernels/base/types.hpp"
#include "storage/buffer_manager.hpp"
#include "storage/store.hpp"

namespace strata {

enum class Metric : std::uint8_t { accuracy, micro_f1, roc_auc };

[[nodiscard]] const char* metric_name(Metric metric);
// auto: what the store says. UsageError when the metric does not fit the labels.
[[nodiscard]] Metric choose_metric(const std::string& name, const StoreInfo& store);

// The class with the largest logit, the lowest one among equals; -1 when every logit is NaN.
template <class T>
[[nodiscard]] std::int32_t predicted_class(std::span<const T> logits) {
  std::int32_t best = -1;
  for (std::size_t c = 0; c < logits.size(); ++c) {
    if (std::isnan(logits[c])) continue;
    if (best < 0 || logits[c] > logits[static_cast<std::size_t>(best)]) best = static_cast<std::int32_t>(c);
  }
  return best;
}

struct SplitScore {
  double metric = 0;
  double loss = 0;          // mean
  std::uint64_t nodes = 0;  // labelled nodes counted
};

// ids: ascending. Rows without a label are left out. Deterministic for every thread count. Scores for ROC-AUC
// (ids x tasks floats) are charged to the budget.
template <class T>
[[nodiscard]] SplitScore evaluate(const RowSource& logits, const Labels& labels, std::span<const NodeId> ids,
                                  Metric metric, MemoryBudget& budget);

// What evaluating these logits reads, for the plan.
void note_evaluation(Schedule::Scope& scope, const RowSource& logits);

// Area under the ROC curve by mid-ranks; NaN when one class is absent. scores and positive have n entries.
[[nodiscard]] double roc_auc(std::span<const float> scores, std::span<const std::uint8_t> positive);

}  // namespace strata
