// A run's predictions as the Open Graph Benchmark's evaluators take them (--predict-format ogb), made from
// predictions.npy.
//   ogb.nodeproppred.Evaluator: y_pred (n, 1), the class of each node, for sets judged by accuracy; (n, tasks), a score
//   each, for those judged by ROC-AUC. https://github.com/snap-stanford/ogb/blob/master/ogb/nodeproppred/evaluate.py
//   ogb.lsc.MAG240MEvaluator: y_pred (n), and for the leaderboard archives of int16 classes of the test nodes.
//   https://github.com/snap-stanford/ogb/blob/master/ogb/lsc/mag240m.py
#pragma once

#include <span>

#include "engine/run/run_directory.hpp"
#include "kernels/base/budget.hpp"
#include "storage/store.hpp"

namespace strata {

// UsageError when a prediction for such a store has no form that OGB takes.
void check_ogb_predictions(const StoreInfo& store);

// RUN/ogb_predictions.npz: y_pred (int64 classes, the lowest among equal logits, -1 where all are NaN; or float32
// logits) and node_ids (int64), in the order of predictions.npy and prediction_ids.npy, which must be there. For a
// store of MAG240M whose test nodes are all among original_ids (ascending) also the archives for its leaderboard.
// Streamed in tiles of rows.
void write_ogb_predictions(const RunDirectory& run, std::span<const NodeId> original_ids, const Store& store,
                           MemoryBudget& budget);

}  // namespace strata
