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

}  // namespace

template <class T>
Session<T>::Session(const TrainOptions& o, const Store& s, MemoryBudget& b)
    : options(o),
      store(s),
      budget(b),
      workers(o.threads),
      model(build_model(o.model, o.method, s.info().feature_dim, s.info().classes)),
      objective(s, b),
      sets(s, aggregation_flags(model), {objective.train_nodes(), objective.valid_nodes(), objective.test_nodes()},
           workers, b),
      plan(checked_plan(o, s.info(), model, workers.threads())),
      parameters(model.tensors, model.group_names, o.seed, b),
      graph(s, model.layers.front().aggregation, b),
      buffers(b, {o.cache_dir, o.disk_limit, plan.read_ahead, false}),
      scratch(b, workers.slots()),
      statistics(model.layers.size()) {
  for (std::size_t l = 0; l < model.layers.size(); ++l) {
    if (model.layers[l].has_batch_norm()) statistics[l].clear(model.layers[l].norm_columns());
  }
  scratch.keep(plan.workspace / workers.slots());
  if (o.bitmap || o.alpha_bitmap) buffers.reserve_packing();
  features = buffers.attach("features", store.features(budget));
  if (!model.layers.front().aggregates()) return;
  if (plan.fits) graph.make_resident();
  spmm_memory.gather_limit = plan.gather_limit;
  spmm_memory.keep = plan.fits;
  spmm_memory.way = o.product_way == ProductWay::tiles ? ProductWay::tiles : ProductWay::columns;
  aggregate = first_aggregate(*this);
}

template <class T>
RowStore Session<T>::make_exact(const std::string& name, std::size_t rows, std::size_t cols) {
  return buffers.create(name, {rows, cols, std::is_same_v<T, double> ? Codec::fp64 : Codec::fp32});
}

template <class T>
EdgeScale<T> Session<T>::scale(bool transposed, const RowMap& sources) {
  EdgeScale<T> scale = graph.scale(transposed);
  scale.source = in_order(scale.source, sources);
  return scale;
}

template <class T>
EdgeScale<T> Session<T>::scatter_scale(bool transposed, const RowMap& destinations) {
  EdgeScale<T> scale = graph.scale(transposed);
  scale.destination = in_order(scale.destination, destinations);
  return scale;
}

// by_node: the graph's scales (it has one array of them), or null.
template <class T>
const T* Session<T>::in_order(const T* by_node, const RowMap& map) {
  if (by_node == nullptr || map.is_identity()) return by_node;
  Array<T>& own = scales_[&map];
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
