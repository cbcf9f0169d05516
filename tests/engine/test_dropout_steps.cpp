// Dropout and batch sizes under IGLU (methods.md 2.3): masks act in parameter steps, on a layer's output and on its
// input; sweeps are free of them. The last layer may have batches of its own size.
#include <doctest/doctest.h>

#include <cmath>

#include "engine/methods/iglu.hpp"
#include "kernels/dropout.hpp"
#include "tests/engine/fixture.hpp"
#include "tests/support/dense_model.hpp"

namespace strata::test {
namespace {

struct Placement {
  double output, input;
  bool all;
};
constexpr Placement kPlacements[] = {{0.4, 0, false}, {0, 0.3, false}, {0, 0.3, true}, {0.4, 0.3, true}};

TrainOptions options_with(const Placement& p, const std::filesystem::path& directory) {
  TrainOptions o = base_options(directory, true);
  o.method = MethodKind::iglu;
  o.optimizer.lr = 0;  // all gradients of the epoch are at the initial parameters
  o.model.dropout = p.output;
  o.model.input_dropout = p.input;
  o.model.input_dropout_all = p.all;
  return o;
}

void mask(double p, std::uint64_t seed, std::uint64_t step, std::uint32_t which, Dense& rows) {
  std::vector<NodeId> ids = every_node(rows.rows);
  const MatrixView<double> view(rows.v.data(), rows.rows, rows.cols);
  ref::dropout<double>(p, {seed, static_cast<std::uint32_t>(step), which}, ids.data(), view, view);
}

// Gradients of weight, then bias, of GCN layer l in the step after `step`, all nodes in one batch: Z masked, and alpha
// masked as the output is. alpha null: from the cross entropy.
std::vector<double> expected_gradient(const Engine<double>& engine, const TinyGraph& graph, std::size_t l,
                                      const Dense& below, const Dense* alpha, std::uint64_t step) {
  const LayerSpec& layer = engine.session.model.layers[l];
  const Parameters<double>& parameters = engine.session.parameters;
  const auto which = static_cast<std::uint32_t>(2 * l);
  Dense z = multiply(normalised_adjacency(graph, layer.aggregation), below);
  if (layer.input_dropout > 0) mask(layer.input_dropout, engine.options.seed, step, which, z);
  Dense delta(z.rows, layer.out);
  if (alpha != nullptr) {
    delta = *alpha;
    if (layer.output_dropout > 0) mask(layer.output_dropout, engine.options.seed, step, which + 1, delta);
  }
  for (std::size_t i = 0; i < z.rows; ++i) {
    std::vector<double> p(layer.out);
    double sum = 0;
    for (std::size_t c = 0; c < layer.out; ++c) {
      p[c] = parameters.value(layer.bias)[c];
      for (std::size_t j = 0; j < layer.in; ++j) p[c] += z(i, j) * parameters.value(layer.weight)[c * layer.in + j];
      sum += std::exp(p[c]);
    }
    for (std::size_t c = 0; c < layer.out; ++c) {
      const double right = static_cast<std::int32_t>(c) == graph.labels[i] ? 1 : 0;
      if (alpha == nullptr) delta(i, c) = std::exp(p[c]) / sum - right;
      if (alpha != nullptr) delta(i, c) *= 1 - std::tanh(p[c]) * std::tanh(p[c]);
    }
  }
  std::vector<double> gradient = multiply(transpose(delta), z).v;
  for (std::size_t c = 0; c < layer.out; ++c) {
    double sum = 0;
    for (std::size_t i = 0; i < z.rows; ++i) sum += delta(i, c);
    gradient.push_back(sum);
  }
  return gradient;
}

TEST_CASE("dropout masks parameter steps, on outputs and inputs, and no sweep") {
  TempDir dir;
  TinyStoreOptions o;
  o.all_train = true;
  const TinyGraph graph = make_tiny_store(dir.path() / "store", o);
  const Store store(dir.path() / "store");
  Engine<double> plain(store, options_with({0, 0, false}, dir.path()));
  IgluMethod<double> without(plain.session);
  without.prepare();
  (void)without.train_epoch(1, nullptr, {});
  const DenseRun dense = run_dense(plain.session.model, plain.session.parameters, graph, false, 1.0);
  Dense x0(o.nodes, o.features);
  x0.v.assign(graph.features.begin(), graph.features.end());

  for (const Placement& p : kPlacements) {
    CAPTURE(p.output);
    CAPTURE(p.input);
    CAPTURE(p.all);
    Engine<double> engine(store, options_with(p, dir.path()));
    IgluMethod<double> method(engine.session);
    method.prepare();
    StepObserver<double> observer;
    std::size_t checked = 0;
    observer.before_step = [&](const StepEvent& event, const Parameters<double>& values) {
      const std::size_t l = event.step - 1;  // one batch a layer, from the lowest up
      const auto [first, last] = values.group_range(l);
      const std::vector<double> gradient(values.gradients().begin() + static_cast<std::ptrdiff_t>(first),
                                         values.gradients().begin() + static_cast<std::ptrdiff_t>(last));
      const bool top = l + 1 == engine.session.model.layers.size();
      const std::vector<double> expected = expected_gradient(engine, graph, l, l == 0 ? x0 : dense.x[l - 1],
                                                             top ? nullptr : &dense.alpha[l], event.step - 1);
      CHECK(relative_difference(gradient, expected) < 1e-11);
      ++checked;
    };
    (void)method.train_epoch(1, nullptr, observer);
    CHECK(checked == 3);
    for (std::size_t l = 0; l < 2; ++l) CHECK(all_rows<double>(method.alpha(l)) == all_rows<double>(without.alpha(l)));
    const std::vector<NodeId> nodes = every_node(o.nodes);
    CHECK(rows_of_nodes<double>(method.logits(), nodes) == rows_of_nodes<double>(without.logits(), nodes));
  }
}

TEST_CASE("the last layer's batches may have another size") {
  TempDir dir;
  TinyStoreOptions o;
  o.nodes = 2600;
  o.edges = 9000;
  o.all_train = true;
  (void)make_tiny_store(dir.path() / "store", o);
  const Store store(dir.path() / "store");
  TrainOptions options = options_with({0, 0, false}, dir.path());
  options.batch_size = 1300;
  const auto steps = [&](std::size_t top_batch_size) {
    options.top_batch_size = top_batch_size;
    Engine<double> engine(store, options);
    IgluMethod<double> method(engine.session);
    method.prepare();
    std::vector<std::size_t> counts(engine.session.parameters.groups());
    StepObserver<double> observer;
    observer.after_step = [&](const StepEvent& event, const Parameters<double>& p) {
      for (std::size_t g = 0; g < counts.size(); ++g) counts[g] += p.group_name(g) == event.group ? 1 : 0;
    };
    (void)method.train_epoch(1, nullptr, observer);
    return counts;
  };
  CHECK(steps(0) == std::vector<std::size_t>{2, 2, 2});
  CHECK(steps(520) == std::vector<std::size_t>{2, 2, 5});
  CHECK(steps(2600) == std::vector<std::size_t>{2, 2, 1});
}

}  // namespace
}  // namespace strata::test
