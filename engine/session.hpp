// Everything a training run works on: the store's parts that stay in memory, the row stores, the model and its
// parameters. One session per run; methods are schedules over it.
//
// T is float for training. double (with codec fp64) is the same engine for verification against finite differences.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/active_sets.hpp"
#include "engine/batch_statistics.hpp"
#include "engine/graph.hpp"
#include "engine/model.hpp"
#include "engine/objective.hpp"
#include "engine/options.hpp"
#include "engine/parameters.hpp"
#include "engine/plan.hpp"
#include "engine/schedule.hpp"
#include "engine/scratch.hpp"
#include "engine/spmm_gather.hpp"
#include "engine/workers.hpp"
#include "kernels/base/budget.hpp"
#include "storage/buffer_manager.hpp"
#include "storage/store.hpp"

namespace strata {

// Which of a session's graphs: training's, or that of evaluation and prediction. They are one and the same unless the
// session is inductive.
enum class GraphUse : std::uint8_t { training, evaluation };

// What an inductive session evaluates and predicts on, while training sees the store's training graph alone.
template <class T>
struct FullGraph {
  ActiveSets sets;     // A_k: what the labelled nodes of all splits depend on; D_k empty
  Graph<T> graph;      // normalised by its own degrees
  RowStore aggregate;  // its Z^1
};

template <class T>
class Session {
 public:
  // Opens everything, builds the model, reserves what must stay in memory, aggregates the features once (or finds them
  // aggregated in STORE/derived). options.cache_dir and options.host_memory must be set; the budget has that limit.
  // Throws ResourceError with the least budget that would do. store and budget must outlive the session.
  Session(const TrainOptions& options, const Store& store, MemoryBudget& budget);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const TrainOptions options;
  const Store& store;
  MemoryBudget& budget;
  Workers workers;
  const Model model;
  const bool inductive;
  const Store training_store;  // with the edges that training sees
  Objective<T> objective;
  const ActiveSets sets;  // of training and, unless inductive, of evaluation
  const MemoryPlan plan;
  Parameters<T> parameters;
  Graph<T> graph;  // training's
  BufferManager buffers;
  Schedule schedule;
  ScratchMemory scratch;
  SpmmMemory spmm_memory;
  std::unique_ptr<FullGraph<T>> full;       // null unless inductive
  std::vector<BatchStatistics> statistics;  // by layer index: of the batch that batch norm saw last
  RowStore features;                        // X^0 as the store has it
  RowStore aggregate;                       // Z^1 = A X^0 of training's graph; empty when layer 1 does not aggregate

  [[nodiscard]] std::size_t nodes() const { return store.info().nodes; }
  [[nodiscard]] std::size_t training_nodes() const { return inductive ? store.info().train_graph.nodes : nodes(); }
  [[nodiscard]] Graph<T>& graph_for(GraphUse use) {
    return use == GraphUse::evaluation && full != nullptr ? full->graph : graph;
  }
  [[nodiscard]] const RowStore& aggregate_for(GraphUse use) const {
    return use == GraphUse::evaluation && full != nullptr ? full->aggregate : aggregate;
  }
  void make_graphs_resident();
  // Shards that a product makes ready before they are needed.
  [[nodiscard]] std::size_t shards_ahead() const { return options.prefetch ? plan.shards_ahead : 0; }
  // The rows of layer index l: of X^{l+1} and what belongs to it.
  [[nodiscard]] const RowMap& rows(std::size_t l) const { return sets.layer(l + 1); }
  // Scales of A or its transpose for x in the order of a map's rows. Not thread-safe.
  [[nodiscard]] EdgeScale<T> scale(const Graph<T>& of, bool transposed, const RowMap& sources);
  // The same for sums taken source by source (spmm_scatter.hpp): destinations in the order of a map's rows, sources by
  // node.
  [[nodiscard]] EdgeScale<T> scatter_scale(const Graph<T>& of, bool transposed, const RowMap& destinations);
  void drop_scales() { scales_.clear(); }  // before maps go or come
  // Scratch stores in the codec of X and Z, of alpha, or (logits) in full precision. kept: of the values, those that
  // are expected not to be zero.
  [[nodiscard]] RowStore make_rows(const std::string& name, std::size_t rows, std::size_t cols, double kept = 1) {
    return buffers.create(name, {rows, cols, options.codec}, {options.bitmap, kept});
  }
  [[nodiscard]] RowStore make_alpha(const std::string& name, std::size_t rows, std::size_t cols) {
    return buffers.create(name, {rows, cols, options.alpha_codec}, {options.alpha_bitmap, 1});
  }
  [[nodiscard]] RowStore make_exact(const std::string& name, std::size_t rows, std::size_t cols);

 private:
  [[nodiscard]] const T* in_order(const T* by_node, const RowMap& map);
  void open_full_graph();
  std::map<std::pair<const T*, const RowMap*>, Array<T>> scales_;  // a graph's, in the order of a map's rows
};

extern template class Session<float>;
extern template class Session<double>;

}  // namespace strata
