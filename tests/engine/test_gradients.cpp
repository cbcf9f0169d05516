// The engine in double precision against finite differences and against the dense twin: checks 1, 2, 11 (sum over
// batches is in test_iglu) and 12 of the methods' list. Fixed parameters, no dropout, nothing stale: every gradient is
// the exact one.
#include <doctest/doctest.h>

#include <cmath>

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
};

TinyStoreOptions store_options(const Case& c) {
  TinyStoreOptions o;
  o.undirected = c.undirected;
  o.multilabel = c.multilabel;
  o.labelled = 0.8;
  return o;
}

TrainOptions train_options(const Case& c, const std::filesystem::path& directory) {
  TrainOptions o = base_options(directory, true);
  o.model.kind = c.model;
  o.model.norm = c.norm;
  o.model.classifier = c.classifier;
  o.model.aggregation = c.model == ModelKind::gcn ? c.aggregation : Aggregation::none;
  o.model.activation = c.activation;
  o.model.residual = c.residual;
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

TEST_CASE("full-batch gradients equal the dense twin's and central differences, for every model") {
  for (const Case& c : kCases) {
    TempDir dir;
    const TinyGraph graph = make_tiny_store(dir.path() / "store", store_options(c));
    const Store store(dir.path() / "store");
    Engine<double> engine(store, train_options(c, dir.path()));
    FullMethod<double> method(engine.session);
    const Probe exact = probe(engine.session, method);
    const DenseRun dense = run_dense(engine.session.model, engine.session.parameters, graph, c.multilabel,
                                     engine.session.objective.mean_scale());
    CHECK(std::abs(exact.loss - dense.loss) < 1e-12);
    CHECK(relative_difference(exact.gradients, dense.gradients) < 1e-12);
    CHECK(relative_difference(all_rows<double>(method.logits()), dense.x.back().v) < 1e-12);
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
}

TEST_CASE("with dropout the residuals' gradients are behind the same masks: central differences at a fixed step") {
  for (const Case& c : kCases) {
    if (c.residual == ResidualKind::none) continue;
    TempDir dir;
    (void)make_tiny_store(dir.path() / "store", store_options(c));
    const Store store(dir.path() / "store");
    TrainOptions options = train_options(c, dir.path());
    options.model.dropout = 0.3;
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
}

// Loss of the layers above `layer`, whose output rows are as they stand in the store.
double loss_above(Session<double>& session, ForwardRows<double>& rows, std::size_t layer) {
  for (std::size_t l = layer + 1; l < session.model.layers.size(); ++l) {
    rows.aggregate(l);
    rows.transform(l, Masks{});
  }
  BackwardPass<double> pass;
  pass.layer = session.model.layers.size() - 1;
  pass.inputs = rows.inputs(pass.layer);
  return backward_pass(session, pass).loss_sum;
}

TEST_CASE("the gradient at every source row equals central differences, and the VJP is adjoint to the forward") {
  for (const Case& c : kCases) {
    TempDir dir;
    (void)make_tiny_store(dir.path() / "store", store_options(c));
    const Store store(dir.path() / "store");
    Engine<double> engine(store, train_options(c, dir.path()));
    Session<double>& session = engine.session;
    ForwardRows<double> rows(session, true);
    const std::size_t top = session.model.layers.size() - 1;
    rows.sweep(top + 1, Masks{});
    // alpha of layer top - 1 (one layer up) and of layer 0 (through all layers above it)
    std::vector<RowStore> alpha;
    for (std::size_t l = 0; l < top; ++l) alpha.push_back(session.make_alpha("alpha", session.model.layers[l].out));
    for (std::size_t l = top; l > 0; --l) {
      BackwardPass<double> pass;
      pass.layer = l;
      pass.inputs = rows.inputs(l);
      pass.alpha = l == top ? nullptr : &alpha[l];
      pass.above = session.model.layers[l].skipped_over ? &alpha[l + 1] : nullptr;
      (void)backward_to_inputs(session, pass, rows.input_rows(l), &alpha[l - 1]);
    }
    RowStore& x = const_cast<RowStore&>(rows.x(0));
    const std::vector<double> exact = all_rows<double>(alpha[0]);
    const std::vector<double> values = all_rows<double>(x);
    const MatrixView<const double> start(values.data(), session.nodes(), session.model.layers[0].out);
    const auto loss_at = [&](std::vector<double> moved) {
      write_chunk<double>(x, 0, {moved.data(), start.rows, start.cols});
      return loss_above(session, rows, 0);
    };
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
    std::vector<double> direction(values.size()), forward = values, back = values;
    double inner = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      direction[i] = rng.uniform() - 0.5;
      forward[i] += step * direction[i];
      back[i] -= step * direction[i];
      inner += exact[i] * direction[i];
    }
    CHECK(std::abs((loss_at(forward) - loss_at(back)) / (2 * step) - inner) < 1e-6 * std::max(1.0, std::abs(inner)));
  }
}

TEST_CASE("a batch of any nodes gives the rows of the full layer, and the batches' gradients add up to the layer's") {
  for (const Case& c : kCases) {
    TempDir dir;
    TinyStoreOptions o = store_options(c);
    o.nodes = 2600;  // three chunks, the last one short
    o.edges = 9000;
    o.shard_rows = 1024;
    (void)make_tiny_store(dir.path() / "store", o);
    const Store store(dir.path() / "store");
    Engine<double> engine(store, train_options(c, dir.path()));
    Session<double>& session = engine.session;
    ForwardRows<double> rows(session, true);
    rows.sweep(session.model.layers.size(), Masks{});
    BackwardPass<double> pass;
    pass.layer = session.model.layers.size() - 1;
    pass.inputs = rows.inputs(pass.layer);
    pass.parameters = true;
    const std::size_t group = session.model.layers[pass.layer].group;
    session.parameters.zero_gradients(group);
    const PassTotals whole = backward_pass(session, pass);
    const std::vector<double> exact(session.parameters.gradients().begin(), session.parameters.gradients().end());
    session.parameters.zero_gradients(group);
    std::vector<std::vector<NodeId>> parts(3);
    CounterRng rng(5, Stream::synthetic);
    for (NodeId i = 0; i < o.nodes; ++i) parts[rng.below(3)].push_back(i);
    PassTotals sum;
    for (const auto& part : parts) {
      pass.nodes = part;
      const PassTotals totals = backward_pass(session, pass);
      sum.loss_sum += totals.loss_sum;
      sum.counted += totals.counted;
    }
    CHECK(sum.counted == whole.counted);
    CHECK(std::abs(sum.loss_sum - whole.loss_sum) < 1e-9 * std::abs(whole.loss_sum));
    CHECK(relative_difference(session.parameters.gradients(), exact) < 1e-12);
  }
}

}  // namespace
}  // namespace strata::test
