// The engine in double precision against finite differences and against the dense twin: checks 1, 2, 11 (sum over
// batches is in test_iglu) and 12 of the methods' list. Fixed parameters, no dropout, nothing stale: every gradient is
// the exact one.
#include <doctest/doctest.h>

#include <cmath>

#include "engine/inference.hpp"
#include "engine/layer_pass.hpp"
#include "engine/methods/full.hpp"
#include "engine/methods/sweep.hpp"
#include "kernels/base/rng.hpp"
#include "tests/engine/fixture.hpp"
#include "tests/support/dense_model.hpp"

namespace strata::test {
namespace {

struct Case {
  ModelKind model;
  NormKind norm;
  ClassifierKind classifier;
  Aggregation aggregation;
  Activation activation;
  bool undirected, multilabel;
  ResidualKind residual = ResidualKind::none;
  SaintCombine combine = SaintCombine::concat;
  bool l2 = true;
  bool gcnii_shared = true;
};

const std::vector<Case> kCases = {
    {ModelKind::gcn, NormKind::none, ClassifierKind::none, Aggregation::sym, Activation::tanh, true, false},
    {ModelKind::gcn, NormKind::layer, ClassifierKind::none, Aggregation::sym, Activation::gelu, false, false},
    {ModelKind::gcn, NormKind::none, ClassifierKind::linear, Aggregation::row_with_self, Activation::gelu, false, true},
    {ModelKind::sage, NormKind::none, ClassifierKind::none, Aggregation::mean, Activation::tanh, false, false},
    {ModelKind::sage, NormKind::layer, ClassifierKind::linear, Aggregation::mean, Activation::gelu, true, true},
    {ModelKind::mlp, NormKind::layer, ClassifierKind::none, Aggregation::none, Activation::elu, true, false},
    {ModelKind::gcn, NormKind::layer, ClassifierKind::none, Aggregation::sym, Activation::tanh, false, false,
     ResidualKind::add},
    {ModelKind::gcn, NormKind::none, ClassifierKind::linear, Aggregation::sym, Activation::gelu, false, true,
     ResidualKind::add2},
    {ModelKind::sage, NormKind::none, ClassifierKind::linear, Aggregation::mean, Activation::gelu, false, false,
     ResidualKind::add},
    {ModelKind::sage, NormKind::layer, ClassifierKind::none, Aggregation::mean, Activation::tanh, true, false,
     ResidualKind::add2},
    {ModelKind::mlp, NormKind::none, ClassifierKind::none, Aggregation::none, Activation::gelu, true, false,
     ResidualKind::add},
    {ModelKind::mlp, NormKind::layer, ClassifierKind::linear, Aggregation::none, Activation::tanh, true, false,
     ResidualKind::add2},
    {ModelKind::gcnii, NormKind::none, ClassifierKind::automatic, Aggregation::none, Activation::tanh, false, false},
    {ModelKind::gcnii, NormKind::layer, ClassifierKind::linear, Aggregation::none, Activation::gelu, true, true,
     ResidualKind::none, SaintCombine::concat, true, false},
    {ModelKind::vrgcn, NormKind::automatic, ClassifierKind::none, Aggregation::none, Activation::gelu, false, false},
    {ModelKind::vrgcn, NormKind::layer, ClassifierKind::linear, Aggregation::none, Activation::tanh, true, true,
     ResidualKind::add},
    {ModelKind::saint, NormKind::automatic, ClassifierKind::automatic, Aggregation::none, Activation::tanh, false,
     false},
    {ModelKind::saint, NormKind::none, ClassifierKind::linear, Aggregation::sym, Activation::gelu, true, true,
     ResidualKind::add, SaintCombine::concat, false},
    {ModelKind::saint, NormKind::layer, ClassifierKind::automatic, Aggregation::none, Activation::elu, false, false,
     ResidualKind::add2, SaintCombine::sum},
};

// How much of the graph is active.
enum class Reach : std::uint8_t {
  wide,   // nearly all nodes in the lower layers
  small,  // other nodes in every layer, for training as for evaluation
  whole,  // all nodes in all layers
};

TinyStoreOptions store_options(const Case& c, Reach reach = Reach::wide) {
  TinyStoreOptions o;
  o.undirected = c.undirected;
  o.multilabel = c.multilabel;
  o.labelled = 0.8;
  if (reach == Reach::small) {
    o.labelled = 0.2;
    o.edges = c.undirected ? 25 : 45;
  }
  if (reach == Reach::whole) {
    o.labelled = 1;
    o.all_train = true;
  }
  return o;
}

// The active sets are what the case is about.
void check_reach(const Session<double>& session, Reach reach) {
  const std::size_t top = session.model.layers.size() - 1;
  for (std::size_t l = 0; l <= top; ++l) {
    const RowMap& map = session.rows(l);
    if (reach == Reach::whole) CHECK((map.is_identity() && map.eval_rows() == 0));
    if (reach == Reach::small) CHECK((map.all_rows() < session.nodes() && map.eval_rows() > 0));
  }
  if (reach != Reach::small || !session.model.uses_graph()) return;
  CHECK(session.rows(top).train_rows() < session.rows(0).train_rows());
}

TrainOptions train_options(const Case& c, const std::filesystem::path& directory) {
  TrainOptions o = base_options(directory, true);
  o.model.kind = c.model;
  o.model.norm = c.norm;
  o.model.classifier = c.classifier;
  o.model.aggregation = c.model == ModelKind::gcn || c.model == ModelKind::saint ? c.aggregation : Aggregation::none;
  o.model.saint_combine = c.combine;
  o.model.saint_l2 = c.l2;
  o.model.activation = c.activation;
  o.model.residual = c.residual;
  o.model.gcnii_shared = c.gcnii_shared;
  if (c.residual != ResidualKind::none) {
    o.model.layers = 4;
    o.model.hidden = TinyStoreOptions{}.features;  // so that X^0 is among the rows added
  }
  return o;
}

// The loss and the parameters' gradients of a full-batch step, without stepping.
struct Probe {
  double loss = 0;
  std::vector<double> gradients;
};

Probe probe(Session<double>& session, FullMethod<double>& method) {
  Probe result;
  StepObserver<double> observer;
  observer.before_step = [&](const StepEvent& event, const Parameters<double>& parameters) {
    result.loss = event.loss;
    result.gradients.assign(parameters.gradients().begin(), parameters.gradients().end());
  };
  const std::vector<double> saved(session.parameters.values().begin(), session.parameters.values().end());
  (void)method.train_epoch(1, nullptr, observer);
  std::copy(saved.begin(), saved.end(), session.parameters.values().begin());
  method.prepare();
  return result;
}

void check_full_batch(const Case& c, Reach reach) {
  TempDir dir;
  const TinyGraph graph = make_tiny_store(dir.path() / "store", store_options(c, reach));
  const Store store(dir.path() / "store");
  Engine<double> engine(store, train_options(c, dir.path()));
  check_reach(engine.session, reach);
  FullMethod<double> method(engine.session);
  const Probe exact = probe(engine.session, method);
  const DenseRun dense = run_dense(engine.session.model, engine.session.parameters, graph, c.multilabel,
                                   engine.session.objective.mean_scale());
  CHECK(std::abs(exact.loss - dense.loss) < 1e-12);
  CHECK(relative_difference(exact.gradients, dense.gradients) < 1e-12);
  const std::vector<NodeId> split = nodes_of_splits(graph);
  CHECK(relative_difference(rows_of_nodes<double>(method.logits(), split), rows_of(dense.x.back(), split)) < 1e-12);
  {
    const std::vector<NodeId> all = every_node(engine.session.nodes());
    const Inference<double> inference(engine.session, all, true);
    CHECK(relative_difference(rows_of_nodes<double>(inference.logits(), all), dense.x.back().v) < 1e-12);
    const Dense& last_hidden = dense.x[dense.x.size() - 2];
    CHECK(relative_difference(rows_of_nodes<double>(inference.embeddings(), all), last_hidden.v) < 1e-12);
  }
  std::vector<double> numeric(exact.gradients.size());
  const double step = 1e-6;
  for (std::size_t i = 0; i < numeric.size(); ++i) {
    double& value = engine.session.parameters.values()[i];
    const double saved = value;
    value = saved + step;
    method.prepare();
    const double above = probe(engine.session, method).loss;
    value = saved - step;
    method.prepare();
    const double below = probe(engine.session, method).loss;
    value = saved;
    numeric[i] = (above - below) / (2 * step);
  }
  CHECK(relative_difference(exact.gradients, numeric) < 1e-6);
}

TEST_CASE("full-batch gradients equal the dense twin's and central differences, for every model and active set") {
  for (std::size_t i = 0; i < kCases.size(); ++i) {
    for (const Reach reach : {Reach::wide, Reach::small, Reach::whole}) {
      CAPTURE(i);
      CAPTURE(static_cast<int>(reach));
      check_full_batch(kCases[i], reach);
    }
  }
}

void check_masked_residual(const Case& c, Reach reach) {
  TempDir dir;
  (void)make_tiny_store(dir.path() / "store", store_options(c, reach));
  const Store store(dir.path() / "store");
  TrainOptions options = train_options(c, dir.path());
  options.model.dropout = 0.3;
  options.model.input_dropout = 0.2;
  Engine<double> engine(store, options);
  FullMethod<double> method(engine.session);
  const auto at_first_step = [&] {
    method.prepare();
    method.set_global_step(0);
    return probe(engine.session, method);
  };
  const Probe exact = at_first_step();
  std::vector<double> numeric(exact.gradients.size());
  const double step = 1e-6;
  for (std::size_t i = 0; i < numeric.size(); ++i) {
    double& value = engine.session.parameters.values()[i];
    const double saved = value;
    value = saved + step;
    const double above = at_first_step().loss;
    value = saved - step;
    numeric[i] = (above - at_first_step().loss) / (2 * step);
    value = saved;
  }
  CHECK(relative_difference(exact.gradients, numeric) < 1e-6);
}

TEST_CASE("with dropout the residuals' gradients are behind the same masks: central differences at a fixed step") {
  for (std::size_t i = 0; i < kCases.size(); ++i) {
    if (kCases[i].residual == ResidualKind::none && kCases[i].model != ModelKind::gcnii) continue;
    for (const Reach reach : {Reach::wide, Reach::small}) {
      CAPTURE(i);
      CAPTURE(static_cast<int>(reach));
      check_masked_residual(kCases[i], reach);
    }
  }
}

// Loss of the layers above `layer`, whose output rows are as they stand in the store.
double loss_above(Session<double>& session, ForwardRows<double>& rows, std::size_t layer, SweepParts parts) {
  for (std::size_t l = layer + 1; l < session.model.layers.size(); ++l) {
    rows.aggregate(l, parts);
    rows.transform(l, Masks{}, parts);
  }
  BackwardPass<double> pass;
  pass.layer = session.model.layers.size() - 1;
  pass.inputs = rows.inputs(pass.layer);
  return backward_pass(session, pass).loss_sum;
}

// alpha of layers [0, top) at the loss's sum, from the rows as they stand.
std::vector<RowStore> make_alphas(Session<double>& session, ForwardRows<double>& rows) {
  const std::size_t top = session.model.layers.size() - 1;
  std::vector<RowStore> alpha;
  InitialGathering<double> initial(session);
  for (std::size_t l = 0; l < top; ++l) {
    alpha.push_back(session.make_alpha("alpha", session.rows(l).train_rows(), session.model.layers[l].out));
  }
  for (std::size_t l = top; l > 0; --l) {
    BackwardPass<double> pass;
    pass.layer = l;
    pass.inputs = rows.inputs(l);
    pass.alpha = l == top ? nullptr : &alpha[l];
    if (session.model.layers[l].skipped_over) pass.above = RowSource(alpha[l + 1], session.rows(l + 1), nullptr);
    pass.initial = initial.next(l);
    (void)backward_to_inputs(session, pass, &rows.x(l - 1), &alpha[l - 1]);
  }
  return alpha;
}

void check_row_gradients(const Case& c, Reach reach) {
  TempDir dir;
  const TinyGraph graph = make_tiny_store(dir.path() / "store", store_options(c, reach));
  const Store store(dir.path() / "store");
  Engine<double> engine(store, train_options(c, dir.path()));
  Session<double>& session = engine.session;
  ForwardRows<double> rows(session, session.sets, true);
  const std::size_t top = session.model.layers.size() - 1;
  rows.sweep(top + 1, Masks{}, SweepParts::all);
  const std::vector<RowStore> alpha = make_alphas(session, rows);
  const DenseRun dense = run_dense(session.model, session.parameters, graph, c.multilabel, 1.0);
  for (std::size_t l = 0; l <= top; ++l) {
    const RowMap& map = session.rows(l);
    for (const RowPart part : {RowPart::train, RowPart::eval}) {
      const std::vector<NodeId> nodes = members(map, part);
      CHECK(relative_difference(rows_of_nodes<double>(rows.by_node(l), nodes), rows_of(dense.x[l], nodes)) < 1e-12);
    }
    CHECK(all_zero(rows_of(dense.alpha[l], nodes_outside(map, true))));
    if (l == top) continue;
    CHECK(relative_difference(all_rows<double>(alpha[l]), rows_of(dense.alpha[l], members(map, RowPart::train))) <
          1e-12);
  }
  // layer 0's alpha has come through all layers above it
  RowStore& x = const_cast<RowStore&>(rows.x(0));
  const std::vector<double> exact = all_rows<double>(alpha[0]);
  const std::vector<double> values = all_rows<double>(x);
  const auto loss_at = [&](std::vector<double> moved, SweepParts parts = SweepParts::train) {
    write_chunk<double>(x, 0, {moved.data(), x.shape().rows, x.shape().cols});
    return loss_above(session, rows, 0, parts);
  };
  const double unmoved = loss_at(values);
  if (const RowStore* others = rows.by_node(0).eval; others != nullptr) {  // training does not see these
    std::vector<double> nothing(others->shape().rows * others->shape().cols, std::nan(""));
    write_chunk<double>(const_cast<RowStore&>(*others), 0, {nothing.data(), others->shape().rows, x.shape().cols});
    CHECK(loss_at(values, SweepParts::all) == unmoved);
  }
  std::vector<double> numeric(values.size());
  const double step = 1e-6;
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::vector<double> moved = values;
    moved[i] += step;
    const double above = loss_at(moved);
    moved[i] -= 2 * step;
    numeric[i] = (above - loss_at(moved)) / (2 * step);
  }
  CHECK(relative_difference(exact, numeric) < 1e-6);
  // directional derivative along a random direction
  CounterRng rng(3, Stream::synthetic);
  std::vector<double> forward = values, back = values;
  double inner = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double direction = rng.uniform() - 0.5;
    forward[i] += step * direction;
    back[i] -= step * direction;
    inner += exact[i] * direction;
  }
  CHECK(std::abs((loss_at(forward) - loss_at(back)) / (2 * step) - inner) < 1e-6 * std::max(1.0, std::abs(inner)));
}

TEST_CASE("the gradient at every source row equals central differences, and the VJP is adjoint to the forward") {
  for (std::size_t i = 0; i < kCases.size(); ++i) {
    for (const Reach reach : {Reach::wide, Reach::small, Reach::whole}) {
      CAPTURE(i);
      CAPTURE(static_cast<int>(reach));
      check_row_gradients(kCases[i], reach);
    }
  }
}

RowStore random_rows(Session<double>& session, std::size_t count, std::size_t cols) {
  RowStore rows = session.make_alpha("random", count, cols);
  CounterRng rng(11, Stream::synthetic);
  std::vector<double> values(kChunkRows * cols);
  for (std::size_t chunk = 0; chunk < rows.shape().chunks(); ++chunk) {
    for (double& v : values) v = rng.uniform() - 0.5;
    write_chunk<double>(rows, chunk, {values.data(), rows.shape().chunk_rows(chunk), cols});
  }
  return rows;
}

void check_batches(Session<double>& session, BackwardPass<double> pass) {
  const std::size_t group = session.model.layers[pass.layer].group;
  session.parameters.zero_gradients(group);
  const PassTotals whole = backward_pass(session, pass);
  const auto [first, last] = session.parameters.group_range(group);
  const std::span<const double> gradients = session.parameters.gradients().subspan(first, last - first);
  const std::vector<double> exact(gradients.begin(), gradients.end());
  session.parameters.zero_gradients(group);
  std::vector<std::vector<std::uint32_t>> parts(3);
  CounterRng rng(5, Stream::synthetic);
  for (std::uint32_t row = 0; row < session.rows(pass.layer).train_rows(); ++row) parts[rng.below(3)].push_back(row);
  PassTotals sum;
  for (const std::vector<std::uint32_t>& part : parts) {
    pass.rows = &part;
    const PassTotals totals = backward_pass(session, pass);
    sum.loss_sum += totals.loss_sum;
    sum.counted += totals.counted;
    sum.inner += totals.inner;
    sum.rows += totals.rows;
  }
  CHECK(sum.counted == whole.counted);
  CHECK(sum.rows == whole.rows);
  CHECK(whole.rows == session.rows(pass.layer).train_rows());
  CHECK(std::abs(sum.loss_sum - whole.loss_sum) <= 1e-9 * std::abs(whole.loss_sum));
  CHECK(std::abs(sum.inner - whole.inner) <= 1e-9 * std::abs(whole.inner));
  CHECK(relative_difference(gradients, exact) < 1e-12);
}

TEST_CASE("a batch of any rows gives the rows of the full layer, and the batches' gradients add up to the layer's") {
  for (std::size_t i = 0; i < kCases.size(); ++i) {
    CAPTURE(i);
    TempDir dir;
    TinyStoreOptions o = store_options(kCases[i]);
    o.nodes = 2600;  // three chunks, the last one short
    o.edges = 9000;
    o.shard_rows = 1024;
    (void)make_tiny_store(dir.path() / "store", o);
    const Store store(dir.path() / "store");
    Engine<double> engine(store, train_options(kCases[i], dir.path()));
    Session<double>& session = engine.session;
    ForwardRows<double> rows(session, session.sets, true);
    const std::size_t top = session.model.layers.size() - 1;
    rows.sweep(top + 1, Masks{}, SweepParts::train);
    for (std::size_t l = 0; l <= top; ++l) {
      CAPTURE(l);
      const RowStore alpha =
          l < top ? random_rows(session, session.rows(l).train_rows(), session.model.layers[l].out) : RowStore();
      BackwardPass<double> pass;
      pass.layer = l;
      pass.inputs = rows.inputs(l);
      pass.alpha = l < top ? &alpha : nullptr;
      pass.parameters = true;
      check_batches(session, pass);
    }
  }
}

}  // namespace
}  // namespace strata::test
