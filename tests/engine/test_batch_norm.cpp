// Batch norm over streams: the statistics of a batch that spans tiles, exact gradients through them, running statistics
// in sweeps, evaluation and predictions.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>

#include "engine/inference.hpp"
#include "engine/methods/full.hpp"
#include "engine/methods/iglu.hpp"
#include "kernels/base/rng.hpp"
#include "tests/engine/runs.hpp"

namespace strata::test {
namespace {

struct Shape {
  ModelKind model;
  SaintCombine combine = SaintCombine::concat;
  ResidualKind residual = ResidualKind::none;
};
const std::vector<Shape> kShapes = {
    {ModelKind::gcn},   {ModelKind::gcn, SaintCombine::concat, ResidualKind::add}, {ModelKind::sage}, {ModelKind::mlp},
    {ModelKind::saint}, {ModelKind::saint, SaintCombine::sum, ResidualKind::add2}, {ModelKind::gcnii}};

TrainOptions batch_options(const Shape& shape, MethodKind method, const std::filesystem::path& directory) {
  TrainOptions o = base_options(directory, true);
  o.method = method;
  o.model.kind = shape.model;
  o.model.norm = NormKind::batch;
  o.model.saint_combine = shape.combine;
  o.model.residual = shape.residual;
  o.model.layers = shape.residual == ResidualKind::none ? 2 : 3;
  return o;
}

// (f(x + h) - f(x - h)) / 2h for every one of the values.
std::vector<double> central_differences(std::span<double> values, std::pair<std::size_t, std::size_t> range,
                                        const std::function<double()>& f) {
  constexpr double kStep = 1e-6;
  std::vector<double> numeric;
  for (std::size_t i = range.first; i < range.second; ++i) {
    const double saved = values[i];
    values[i] = saved + kStep;
    const double above = f();
    values[i] = saved - kStep;
    numeric.push_back((above - f()) / (2 * kStep));
    values[i] = saved;
  }
  return numeric;
}

void check_full(const Shape& shape, const TinyStoreOptions& o, double dropout) {
  TempDir dir;
  (void)make_tiny_store(dir.path() / "store", o);
  const Store store(dir.path() / "store");
  TrainOptions options = batch_options(shape, MethodKind::full, dir.path());
  options.model.dropout = options.model.input_dropout = dropout;
  options.optimizer.lr = 0;
  Engine<double> engine(store, options);
  FullMethod<double> method(engine.session);
  std::vector<double> gradients;
  StepObserver<double> observer;
  observer.before_step = [&](const StepEvent&, const Parameters<double>& p) {
    gradients.assign(p.gradients().begin(), p.gradients().end());
  };
  const auto loss = [&] {
    method.prepare();
    method.set_global_step(0);  // the same masks
    return method.train_epoch(1, nullptr, observer).loss;
  };
  (void)loss();
  const std::vector<double> exact = gradients;
  const std::size_t stepped = engine.session.parameters.group_range(engine.session.parameters.groups() - 1).second;
  const std::vector<double> numeric = central_differences(engine.session.parameters.values(), {0, stepped}, loss);
  CHECK(relative_difference(std::vector<double>(exact.begin(), exact.begin() + stepped), numeric) < 1e-6);
}

TEST_CASE("full batch: gradients through the statistics of the active rows equal central differences") {
  TinyStoreOptions whole, small;
  whole.all_train = true;
  small.undirected = false;
  small.labelled = 0.3;
  small.edges = 60;
  for (std::size_t i = 0; i < kShapes.size(); ++i) {
    CAPTURE(i);
    check_full(kShapes[i], whole, 0);
    check_full(kShapes[i], small, 0);
    check_full(kShapes[i], small, 0.3);
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

// A batch of every third row or so, over three chunks.
void check_step(const Shape& shape) {
  TempDir dir;
  TinyStoreOptions o;
  o.nodes = 2600;
  o.edges = 9000;
  o.features = 4;
  o.shard_rows = 1024;
  (void)make_tiny_store(dir.path() / "store", o);
  const Store store(dir.path() / "store");
  TrainOptions options = batch_options(shape, MethodKind::iglu, dir.path());
  options.model.hidden = 3;
  options.model.dropout = 0.2;
  Engine<double> engine(store, options);
  Session<double>& session = engine.session;
  ForwardRows<double> rows(session, session.sets, true);
  rows.sweep(session.model.layers.size(), Masks{}, SweepParts::train);
  for (std::size_t l = 0; l < session.model.layers.size(); ++l) {
    CAPTURE(l);
    const bool top = l + 1 == session.model.layers.size();
    const RowStore alpha =
        top ? RowStore() : random_rows(session, session.rows(l).train_rows(), session.model.layers[l].out);
    std::vector<std::uint32_t> batch;
    CounterRng rng(5, Stream::synthetic);
    for (std::uint32_t row = 0; row < session.rows(l).train_rows(); ++row) {
      if (rng.below(3) == 0) batch.push_back(row);
    }
    BackwardPass<double> pass;
    pass.layer = l;
    pass.inputs = rows.inputs(l);
    pass.masks = {true, 3, 4, true};
    pass.alpha = top ? nullptr : &alpha;
    pass.rows = &batch;
    pass.parameters = true;
    const auto objective = [&] {
      session.parameters.zero_gradients(session.model.layers[l].group);
      const PassTotals totals = backward_pass(session, pass);
      return top ? totals.loss_sum : totals.inner;
    };
    (void)objective();
    const auto range = session.parameters.group_range(session.model.layers[l].group);
    const auto gradients = session.parameters.gradients().subspan(range.first, range.second - range.first);
    const std::vector<double> exact(gradients.begin(), gradients.end());
    CHECK(relative_difference(exact, central_differences(session.parameters.values(), range, objective)) < 1e-6);
  }
}

TEST_CASE("a step's gradient through the statistics of a batch over several tiles equals central differences") {
  for (const ModelKind model : {ModelKind::gcn, ModelKind::saint}) check_step({model});
  check_step({ModelKind::saint, SaintCombine::sum});
}

// A hidden layer of gcn by hand: tanh of what the layer reads, mapped, for every node.
Dense activations(const Session<double>& session, const TinyGraph& graph) {
  const std::size_t n = graph.in.size(), in = session.model.layers[0].in, out = session.model.layers[0].out;
  Dense x(n, in), w(in, out);
  for (std::size_t i = 0; i < x.v.size(); ++i) x.v[i] = graph.features[i];
  const MatrixView<const double> weight = session.parameters.matrix(session.model.layers[0].weight);
  for (std::size_t i = 0; i < in; ++i) {
    for (std::size_t o = 0; o < out; ++o) w(i, o) = weight(o, i);
  }
  Dense h = multiply(normalised_adjacency(graph, Aggregation::sym), multiply(x, w));
  const double* bias = session.parameters.value(session.model.layers[0].bias);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t o = 0; o < out; ++o) h(i, o) = std::tanh(h(i, o) + bias[o]);
  }
  return h;
}

// Mean and unbiased variance of a column over some rows.
std::pair<double, double> moments(const Dense& h, std::size_t column, const std::vector<NodeId>& rows) {
  double mean = 0, squares = 0;
  for (const NodeId i : rows) mean += h(i, column) / static_cast<double>(rows.size());
  for (const NodeId i : rows) squares += (h(i, column) - mean) * (h(i, column) - mean);
  return {mean, squares / static_cast<double>(rows.size() - 1)};
}

TEST_CASE("running statistics follow the batches' moments, and evaluation normalises by them") {
  for (const MethodKind kind : {MethodKind::full, MethodKind::iglu}) {
    TempDir dir;
    TinyStoreOptions o;
    o.labelled = 0.4;
    o.edges = 70;
    const TinyGraph graph = make_tiny_store(dir.path() / "store", o);
    const Store store(dir.path() / "store");
    TrainOptions options = batch_options({ModelKind::gcn}, kind, dir.path());
    Engine<double> engine(store, options);
    Session<double>& session = engine.session;
    auto method = make_method<double>(session);
    method->prepare();
    const LayerSpec& layer = session.model.layers[0];
    const Parameters<double>& p = session.parameters;
    const std::vector<NodeId> active = members(session.rows(0), RowPart::train);
    CHECK(active.size() < o.nodes);
    std::vector<double> mean(layer.out, 0), variance(layer.out, 1);
    std::size_t steps = 0;
    StepObserver<double> observer;
    observer.before_step = [&](const StepEvent& event, const Parameters<double>&) {
      if (event.group == "layer2") return;
      const Dense h = activations(session, graph);  // at the parameters the step saw
      for (std::size_t c = 0; c < layer.out; ++c) {
        const auto [batch_mean, batch_variance] = moments(h, c, active);
        mean[c] = 0.9 * mean[c] + 0.1 * batch_mean;
        variance[c] = 0.9 * variance[c] + 0.1 * batch_variance;
      }
      ++steps;
    };
    for (std::uint32_t epoch = 1; epoch <= 3; ++epoch) {
      (void)method->train_epoch(epoch, nullptr, observer);
      for (std::size_t c = 0; c < layer.out; ++c) {
        CHECK(p.value(layer.after[0].mean)[c] == doctest::Approx(mean[c]).epsilon(1e-12));
        CHECK(p.value(layer.after[0].variance)[c] == doctest::Approx(variance[c]).epsilon(1e-12));
      }
    }
    CHECK(steps == 3);
    const std::vector<NodeId> all = every_node(o.nodes);
    method->forget_outputs();
    const std::vector<NodeId> split = nodes_of_splits(graph);
    const std::vector<double> logits = rows_of_nodes<double>(method->logits(), split);
    const Inference<double> inference(session, all, true);
    Dense x = activations(session, graph);
    for (std::size_t i = 0; i < x.rows; ++i) {
      for (std::size_t c = 0; c < x.cols; ++c) {
        const double zhat = (x(i, c) - mean[c]) / std::sqrt(variance[c] + 1e-5);
        x(i, c) = p.value(layer.after[0].gain)[c] * zhat + p.value(layer.after[0].offset)[c];
      }
    }
    CHECK(relative_difference(rows_of_nodes<double>(inference.embeddings(), all), x.v) < 1e-12);
    CHECK(rows_of_nodes<double>(inference.logits(), split) == logits);
  }
}

TEST_CASE("batches of one row and of none leave finite numbers") {
  BatchStatistics batch, tile;
  batch.clear(2);
  tile.clear(2);
  Model model;
  {
    ModelOptions options;
    options.hidden = 2;
    options.norm = NormKind::batch;
    model = build_model(options, MethodKind::full, 3, 2);
  }
  MemoryBudget budget(std::uint64_t{1} << 20);
  const Parameters<double> parameters(model.tensors, model.group_names, 1, budget);
  const LayerSpec& layer = model.layers[0];
  update_running_statistics(layer, batch, parameters);
  CHECK(parameters.value(layer.after[0].mean)[0] == 0);
  CHECK(parameters.value(layer.after[0].variance)[0] == 1);
  tile.rows = 1;
  tile.mean = {5, -2};
  batch.add_rows(tile);
  update_running_statistics(layer, batch, parameters);
  CHECK(parameters.value(layer.after[0].mean)[0] == doctest::Approx(0.5));
  CHECK(parameters.value(layer.after[0].variance)[1] == doctest::Approx(0.9));
}

TEST_CASE("moments of tiles add up to those of all rows") {
  CounterRng rng(2, Stream::synthetic);
  std::vector<double> values(50);
  for (double& v : values) v = 1000 + rng.uniform();
  BatchStatistics sum;
  sum.clear(1);
  for (std::size_t first = 0; first < values.size();) {
    const std::size_t count = std::min<std::size_t>(1 + rng.below(20), values.size() - first);
    BatchStatistics tile;
    tile.clear(1);
    tile.rows = count;
    for (std::size_t i = first; i < first + count; ++i) tile.mean[0] += values[i] / static_cast<double>(count);
    for (std::size_t i = first; i < first + count; ++i) {
      tile.squares[0] += (values[i] - tile.mean[0]) * (values[i] - tile.mean[0]);
    }
    sum.add_rows(tile);
    first += count;
  }
  double mean = 0, squares = 0;
  for (const double v : values) mean += v / 50;
  for (const double v : values) squares += (v - mean) * (v - mean);
  CHECK(sum.rows == 50);
  CHECK(sum.mean[0] == doctest::Approx(mean).epsilon(1e-14));
  CHECK(sum.squares[0] == doctest::Approx(squares).epsilon(1e-9));
}

TEST_CASE("after an inverted epoch the cached rows are a fresh forward by the running statistics, bit for bit") {
  for (const Shape& shape : kShapes) {
    TempDir dir;
    TinyStoreOptions o;
    o.labelled = 0.5;
    (void)make_tiny_store(dir.path() / "store", o);
    const Store store(dir.path() / "store");
    TrainOptions options = batch_options(shape, MethodKind::iglu, dir.path());
    options.batch_size = 17;
    Engine<double> engine(store, options);
    IgluMethod<double> method(engine.session);
    method.prepare();
    (void)method.train_epoch(1, nullptr, {});
    const std::size_t top = engine.session.model.layers.size() - 1;
    const PassRows rows(engine.session.rows(top), RowPart::train);
    const std::vector<double> cached = rows_read<double>(method.rows().inputs(top).z, rows);
    method.prepare();
    CHECK(cached == rows_read<double>(method.rows().inputs(top).z, rows));
  }
}

// A step goes over its rows three times: what the plan gives up after their last use must wait for that.
TEST_CASE("planned and spilling on three threads, batch norm gives the bits of a run in memory") {
  TempDir dir;
  TinyStoreOptions o;
  o.nodes = 4000;
  o.edges = 6000;
  o.features = 40;
  o.shard_rows = 2048;
  (void)make_tiny_store(dir.path() / "store", o);
  const Store store(dir.path() / "store");
  for (const MethodKind method : {MethodKind::iglu, MethodKind::full}) {
    Mode mode{method, ModelKind::gcn, ResidualKind::none};
    mode.norm = NormKind::batch;
    TrainOptions options = options_for(mode, dir.path());
    options.model.layers = 2;
    const Result memory = train(store, options);
    options.threads = 3;
    options.host_memory = least_budget(store, options);
    const Result spilling = train(store, options, true);
    CHECK(spilling == memory);
    CHECK(spilling.counters.bytes_written > 0);
    CHECK(spilling.peak <= options.host_memory);
  }
}

}  // namespace
}  // namespace strata::test
