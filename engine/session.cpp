#include "engine/session.hpp"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "engine/first_aggregate.hpp"
#include "kernels/base/error.hpp"

namespace strata {

namespace {

MemoryPlan checked_plan(const TrainOptions& options, const StoreInfo& store, const Model& model,
                        std::uint32_t threads) {
  MemoryPlan plan = plan_memory(options, store, model, threads);
  if (plan.least > options.host_memory) {
    throw ResourceError("--host-memory " + format_bytes(options.host_memory) +
                            " is too little for this store and model: at least " + format_bytes(plan.least) +
                            " would do (" + std::to_string(plan.least) + " bytes)",
                        plan.least);
  }
  if (!plan.fits && plan.scratch_disk > options.disk_limit) {
    throw ResourceError("--disk-limit " + format_bytes(options.disk_limit) + " is too little: up to " +
                            format_bytes(plan.scratch_disk) + " of row stores may go to " + options.cache_dir.string(),
                        plan.scratch_disk);
  }
  return plan;
}

// Evaluation has a closure of its own where it has a graph of its own.
template <class T>
LabelledNodes closure_of(const Objective<T>& objective, bool inductive) {
  if (inductive) return {objective.train_nodes(), {}, {}};
  return {objective.train_nodes(), objective.valid_nodes(), objective.test_nodes()};
}

// Ascending, each once.
template <class T>
Array<NodeId> labelled_nodes(const Objective<T>& objective, MemoryBudget& budget) {
  std::vector<NodeId> nodes;
  for (const auto part : {objective.train_nodes(), objective.valid_nodes(), objective.test_nodes()}) {
    nodes.insert(nodes.end(), part.begin(), part.end());
  }
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  Array<NodeId> result(budget, nodes.size(), "labelled nodes");
  std::copy(nodes.begin(), nodes.end(), result.begin());
  return result;
}

}  // namespace

template <class T>
Session<T>::Session(const TrainOptions& o, const Store& s, MemoryBudget& b)
    : options(o),
      store(s),
      budget(b),
      workers(o.threads),
      model(build_model(o.model, o.method, s.info().feature_dim, s.info().classes)),
      inductive(trains_inductively(o, s.info(), model)),
      training_store(inductive ? s.train_graph() : s),
      objective(s, b),
      sets(training_store, aggregation_flags(model), closure_of(objective, inductive), workers, b),
      plan(checked_plan(o, s.info(), model, workers.threads())),
      parameters(model.tensors, model.group_names, o.seed, b),
      graph(training_store, model.aggregation(), b),
      buffers(b, {o.cache_dir, o.disk_limit, plan.read_ahead, false}),
      scratch(b, workers.slots()),
      statistics(model.layers.size()) {
  for (std::size_t l = 0; l < model.layers.size(); ++l) {
    if (model.layers[l].has_batch_norm()) statistics[l].clear(model.layers[l].norm_columns());
  }
  scratch.keep(plan.workspace / workers.slots());
  if (o.bitmap || o.alpha_bitmap) buffers.reserve_packing();
  features = buffers.attach("features", store.features(budget));
  if (inductive) open_full_graph();
  if (!model.uses_graph()) return;
  if (plan.fits) make_graphs_resident();
  spmm_memory.gather_limit = plan.gather_limit;
  spmm_memory.keep = plan.fits;
  spmm_memory.way = o.product_way == ProductWay::tiles ? ProductWay::tiles : ProductWay::columns;
  if (!model.layers.front().aggregates()) return;
  aggregate = first_aggregate(*this, GraphUse::training);
  if (full != nullptr) full->aggregate = first_aggregate(*this, GraphUse::evaluation);
}

template <class T>
void Session<T>::open_full_graph() {
  const Array<NodeId> wanted = labelled_nodes(objective, budget);
  full.reset(new FullGraph<T>{
      ActiveSets(store, aggregation_flags(model), LabelledNodes{wanted.span(), {}, {}}, workers, budget),
      Graph<T>(store, model.aggregation(), budget),
      {}});
}

template <class T>
void Session<T>::make_graphs_resident() {
  graph.make_resident();
  if (full != nullptr) full->graph.make_resident();
}

template <class T>
RowStore Session<T>::make_exact(const std::string& name, std::size_t rows, std::size_t cols) {
  return buffers.create(name, {rows, cols, std::is_same_v<T, double> ? Codec::fp64 : Codec::fp32});
}

template <class T>
EdgeScale<T> Session<T>::scale(const Graph<T>& of, bool transposed, const RowMap& sources) {
  EdgeScale<T> scale = of.scale(transposed);
  scale.source = in_order(scale.source, sources);
  return scale;
}

template <class T>
EdgeScale<T> Session<T>::scatter_scale(const Graph<T>& of, bool transposed, const RowMap& destinations) {
  EdgeScale<T> scale = of.scale(transposed);
  scale.destination = in_order(scale.destination, destinations);
  return scale;
}

// by_node: a graph's scales (it has one array of them), or null.
template <class T>
const T* Session<T>::in_order(const T* by_node, const RowMap& map) {
  if (by_node == nullptr || map.is_identity()) return by_node;
  Array<T>& own = scales_[{by_node, &map}];
  if (own.empty()) {
    own = Array<T>(budget, map.all_rows(), "normalisation of a layer's rows");
    std::vector<NodeId> nodes;
    for (std::size_t first = 0; first < own.size(); first += nodes.size()) {
      nodes.resize(std::min(kChunkRows, own.size() - first));
      map.nodes(first, nodes);
      for (std::size_t i = 0; i < nodes.size(); ++i) own[first + i] = by_node[nodes[i]];
    }
  }
  return own.data();
}

template class Session<float>;
template class Session<double>;

}  // namespace strata
