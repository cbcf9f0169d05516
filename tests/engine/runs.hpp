// Whole runs of the methods at the size of a test, for comparing their bits.
#pragma once

#include <doctest/doctest.h>

#include "engine/calibration.hpp"
#include "engine/evaluation.hpp"
#include "engine/inference.hpp"
#include "engine/plan.hpp"
#include "engine/planner.hpp"
#include "tests/engine/fixture.hpp"

namespace strata::test {

struct Result {
  std::vector<float> parameters, logits;  // logits: of the nodes of the splits
  TierCounters counters;
  std::uint64_t peak = 0;
  bool operator==(const Result& o) const { return parameters == o.parameters && logits == o.logits; }
};

inline std::vector<NodeId> nodes_of_splits(const Objective<float>& objective) {
  TinyGraph graph;
  const auto copy = [](std::span<const NodeId> ids) { return std::vector<NodeId>(ids.begin(), ids.end()); };
  graph.train = copy(objective.train_nodes());
  graph.valid = copy(objective.valid_nodes());
  graph.test = copy(objective.test_nodes());
  return nodes_of_splits(graph);
}

// What strata-train does with the logits after an epoch, as a pass.
inline void evaluate_logits(Session<float>& session, Method<float>& method) {
  const RowSource logits = method.logits();
  Schedule::Scope scope(session.schedule, session.buffers, "evaluate");
  for (const RowStore* part : {logits.store, logits.eval}) {
    if (part != nullptr) scope.use(*part, 0, part->shape().panels(), StoreUse::Kind::read, true);
  }
  if (!scope.begin()) return;
  for (const std::span<const NodeId> nodes :
       {session.objective.train_nodes(), session.objective.valid_nodes(), session.objective.test_nodes()}) {
    if (nodes.empty()) continue;
    (void)evaluate<float>(logits, session.objective.labels(), nodes, Metric::accuracy, session.budget);
  }
}

// Four epochs, with evaluation as options.eval_every says (0: never). planned: as strata-train runs them, with what
// stays in memory decided beforehand. Inference must give the logits of the method.
inline Result train(const Store& store, const TrainOptions& options, bool planned = false) {
  Engine<float> engine(store, options);
  Session<float>& session = engine.session;
  auto method = make_method<float>(session);
  if (planned) {
    const DiskRates disk;
    Calibration<float> calibration(session, &disk);
    (void)plan_schedule<float>(
        session, *method, [&] { evaluate_logits(session, *method); }, calibration);
  }
  session.schedule.start_preparation();
  method->prepare();
  for (std::uint32_t epoch = 1; epoch <= 4; ++epoch) {
    const bool evaluated = options.eval_every != 0 && epoch % options.eval_every == 0;
    session.schedule.start_epoch(epoch);
    method->expect_evaluation(evaluated);
    (void)method->train_epoch(epoch, nullptr, {});
    if (evaluated) evaluate_logits(session, *method);
  }
  session.schedule.suspend();
  method->forget_outputs();
  const std::vector<NodeId> split = nodes_of_splits(session.objective);
  Result result;
  result.logits = rows_of_nodes<float>(method->logits(), split);
  const auto values = session.parameters.values();
  result.parameters.assign(values.begin(), values.end());
  result.counters = session.buffers.counters();
  method.reset();
  {
    const Inference<float> inference(session, split, true);
    CHECK(rows_of_nodes<float>(inference.logits(), split) == result.logits);
  }
  result.peak = engine.budget.peak();
  return result;
}

inline std::uint64_t least_budget(const Store& store, const TrainOptions& options) {
  const Model model = build_model(options.model, options.method, store.info().feature_dim, store.info().classes);
  return plan_memory(options, store.info(), model, options.threads).least;
}

inline TrainOptions options_for(MethodKind method, ModelKind model, const std::filesystem::path& directory) {
  TrainOptions o = base_options(directory, false);
  o.method = method;
  o.model.kind = model;
  o.model.hidden = 48;  // a whole panel and half of one
  o.model.activation = Activation::relu;
  o.model.norm = NormKind::layer;
  o.model.dropout = 0.3;
  o.model.input_dropout = 0.2;
  o.optimizer.kind = OptimizerKind::adam;
  o.batch_size = 2048;
  return o;
}

// Every order, refresh and residual of the methods, on a model it works with.
struct Mode {
  MethodKind method;
  ModelKind model;
  ResidualKind residual;
  IgluOrder order = IgluOrder::inverted;
  IgluRefresh refresh = IgluRefresh::once;
  NormKind norm = NormKind::layer;
  SaintCombine combine = SaintCombine::concat;
};
inline const std::vector<Mode> kModes = {
    {MethodKind::full, ModelKind::gcn, ResidualKind::add2},
    {MethodKind::full, ModelKind::sage, ResidualKind::add},
    {MethodKind::iglu, ModelKind::sage, ResidualKind::add2, IgluOrder::inverted, IgluRefresh::alternate},
    {MethodKind::iglu, ModelKind::gcn, ResidualKind::add, IgluOrder::inverted, IgluRefresh::twice},
    {MethodKind::iglu, ModelKind::gcn, ResidualKind::none, IgluOrder::backprop, IgluRefresh::once},
    {MethodKind::iglu, ModelKind::gcn, ResidualKind::add2, IgluOrder::backprop, IgluRefresh::alternate},
    {MethodKind::iglu, ModelKind::sage, ResidualKind::add, IgluOrder::backprop, IgluRefresh::twice},
    {MethodKind::iglu, ModelKind::mlp, ResidualKind::add, IgluOrder::backprop, IgluRefresh::alternate},
    {MethodKind::full, ModelKind::gcnii, ResidualKind::none},
    {MethodKind::iglu, ModelKind::gcnii, ResidualKind::none, IgluOrder::backprop, IgluRefresh::twice},
    {MethodKind::sgc, ModelKind::gcn, ResidualKind::none},
    {MethodKind::iglu, ModelKind::saint, ResidualKind::add},
    {MethodKind::full, ModelKind::saint, ResidualKind::none, IgluOrder::inverted, IgluRefresh::once, NormKind::batch,
     SaintCombine::sum},
    {MethodKind::iglu, ModelKind::vrgcn, ResidualKind::none, IgluOrder::backprop, IgluRefresh::alternate,
     NormKind::batch}};

inline TrainOptions options_for(const Mode& mode, const std::filesystem::path& directory) {
  TrainOptions o = options_for(mode.method, mode.model, directory);
  o.model.residual = mode.residual;
  o.model.norm = mode.norm;
  o.model.saint_combine = mode.combine;
  o.model.layers = mode.residual == ResidualKind::add2 ? 4 : 3;
  o.iglu_order = mode.order;
  o.iglu_refresh = mode.refresh;
  return o;
}

}  // namespace strata::test
