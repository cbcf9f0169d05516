// Everything a training run works on: the store's parts that stay in memory, the row stores, the model and its
// parameters. One session per run; methods are schedules over it.
//
// T is float for training. double (with codec fp64) is the same engine for verification against finite differences.
#pragma once

#include <string>

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
  const MemoryPlan plan;
  Parameters<T> parameters;
  Objective<T> objective;
  Graph<T> graph;
  BufferManager buffers;
  Schedule schedule;
  ScratchMemory scratch;
  SpmmMemory spmm_memory;
  RowStore features;   // X^0 as the store has it
  RowStore aggregate;  // Z^1 = A X^0; empty when layer 1 does not aggregate

  [[nodiscard]] std::size_t nodes() const { return store.info().nodes; }
  // Scratch stores of N rows in the codec of X and Z, of alpha, or (logits) in full precision.
  [[nodiscard]] RowStore make_rows(const std::string& name, std::size_t cols) {
    return make(name, cols, options.codec);
  }
  [[nodiscard]] RowStore make_alpha(const std::string& name, std::size_t cols) {
    return make(name, cols, options.alpha_codec);
  }
  [[nodiscard]] RowStore make_exact(const std::string& name, std::size_t cols);

 private:
  [[nodiscard]] RowStore make(const std::string& name, std::size_t cols, Codec codec) {
    return buffers.create(name, {nodes(), cols, codec});
  }
};

extern template class Session<float>;
extern template class Session<double>;

}  // namespace strata
