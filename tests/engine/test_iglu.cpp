// IGLU's schedules, both orders, with and without residuals, in double precision: checks 8-15 of the methods' list.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "engine/inference.hpp"
#include "engine/methods/iglu.hpp"
#include "tests/engine/fixture.hpp"
#include "tests/support/dense_model.hpp"

namespace strata::test {
namespace {

struct Setting {
  ModelKind model;
  ClassifierKind classifier;
  NormKind norm;
  ResidualKind residual = ResidualKind::none;
  IgluOrder order = IgluOrder::inverted;
  SaintCombine combine = SaintCombine::concat;
  bool gcnii_shared = true;
};

std::vector<Setting> settings(IgluOrder order) {
  return {{ModelKind::gcn, ClassifierKind::none, NormKind::none, ResidualKind::none, order},
          {ModelKind::gcn, ClassifierKind::linear, NormKind::layer, ResidualKind::none, order},
          {ModelKind::gcn, ClassifierKind::none, NormKind::layer, ResidualKind::add, order},
          {ModelKind::gcn, ClassifierKind::linear, NormKind::none, ResidualKind::add2, order},
          {ModelKind::sage, ClassifierKind::none, NormKind::none, ResidualKind::none, order},
          {ModelKind::sage, ClassifierKind::linear, NormKind::layer, ResidualKind::add, order},
          {ModelKind::sage, ClassifierKind::none, NormKind::layer, ResidualKind::add2, order},
          {ModelKind::mlp, ClassifierKind::linear, NormKind::none, ResidualKind::add2, order},
          {ModelKind::gcnii, ClassifierKind::automatic, NormKind::none, ResidualKind::none, order},
          {ModelKind::gcnii, ClassifierKind::linear, NormKind::layer, ResidualKind::none, order, SaintCombine::concat,
           false},
          {ModelKind::vrgcn, ClassifierKind::none, NormKind::layer, ResidualKind::none, order},
          {ModelKind::saint, ClassifierKind::automatic, NormKind::layer, ResidualKind::none, order},
          {ModelKind::saint, ClassifierKind::automatic, NormKind::layer, ResidualKind::add2, order, SaintCombine::sum}};
}

std::vector<Setting> all_settings() {
  std::vector<Setting> all = settings(IgluOrder::inverted);
  for (const Setting& s : settings(IgluOrder::backprop)) all.push_back(s);
  return all;
}

TrainOptions iglu_options(const Setting& s, const std::filesystem::path& directory) {
  TrainOptions o = base_options(directory, true);
  o.method = MethodKind::iglu;
  o.model.kind = s.model;
  o.model.classifier = s.classifier;
  o.model.norm = s.norm;
  o.model.residual = s.residual;
  o.model.gcnii_shared = s.gcnii_shared;
  o.model.saint_combine = s.combine;
  o.iglu_order = s.order;
  if (s.residual == ResidualKind::none) return o;
  o.model.layers = 4;
  o.model.hidden = TinyStoreOptions{}.features;  // so that X^0 is among the rows added
  return o;
}

// Gradients of each group as the schedule computes them in one epoch with one batch a group (the top's divided to
// nothing: sum scale), by group.
std::vector<std::vector<double>> epoch_gradients(Session<double>& session, IgluMethod<double>& method) {
  std::vector<std::vector<double>> gradients(session.parameters.groups());
  StepObserver<double> observer;
  observer.before_step = [&](const StepEvent& event, const Parameters<double>& p) {
    for (std::size_t g = 0; g < p.groups(); ++g) {
      if (p.group_name(g) != event.group) continue;
      const auto [first, last] = p.group_range(g);
      gradients[g].assign(p.gradients().begin() + first, p.gradients().begin() + last);
    }
  };
  (void)method.train_epoch(1, nullptr, observer);
  return gradients;
}

std::vector<double> slice(const std::vector<double>& all, std::pair<std::size_t, std::size_t> range) {
  return {all.begin() + static_cast<std::ptrdiff_t>(range.first),
          all.begin() + static_cast<std::ptrdiff_t>(range.second)};
}

// Active sets of most of the nodes, of other nodes in every layer, or of all.
std::vector<TinyStoreOptions> stores() {
  TinyStoreOptions wide, small, whole;
  wide.undirected = small.undirected = false;
  small.labelled = 0.2;
  small.edges = 45;
  whole.all_train = true;
  return {wide, small, whole};
}

void check_exact_epoch(const Setting& s, const TinyStoreOptions& o) {
  TempDir dir;
  const TinyGraph graph = make_tiny_store(dir.path() / "store", o);
  const Store store(dir.path() / "store");
  TrainOptions options = iglu_options(s, dir.path());
  options.optimizer.lr = 0;  // nothing moves: all of the epoch's gradients are at the initial parameters
  Engine<double> engine(store, options);
  IgluMethod<double> method(engine.session);
  method.prepare();
  const DenseRun dense = run_dense(engine.session.model, engine.session.parameters, graph, o.multilabel, 1.0);
  method.refresh_alpha();
  for (std::size_t l = 0; l + 1 < engine.session.model.layers.size(); ++l) {
    const RowMap& map = engine.session.rows(l);
    const std::vector<double> active = rows_of(dense.alpha[l], members(map, RowPart::train));
    CHECK(relative_difference(all_rows<double>(method.alpha(l)), active) < 1e-12);
    CHECK(all_zero(rows_of(dense.alpha[l], nodes_outside(map, true))));
    CHECK(map.is_identity() == o.all_train);
  }
  const auto gradients = epoch_gradients(engine.session, method);
  for (std::size_t g = 0; g < gradients.size(); ++g) {
    CHECK(relative_difference(gradients[g], slice(dense.gradients, engine.session.parameters.group_range(g))) < 1e-12);
  }
}

TEST_CASE("alpha and gradients before any update equal full backpropagation (checks 8 and 14)") {
  for (const Setting& s : all_settings()) {
    for (TinyStoreOptions o : stores()) {
      for (const bool multilabel : {false, true}) {
        o.multilabel = multilabel;
        check_exact_epoch(s, o);
      }
    }
  }
}

// Relative error of every group's gradient in one epoch at rate `lr`, against the exact gradient at the
// parameters the group saw when it stepped, by group.
std::vector<double> staleness_errors(const Setting& s, const TinyStoreOptions& o, double lr) {
  TempDir dir;
  const TinyGraph graph = make_tiny_store(dir.path() / "store", o);
  const Store store(dir.path() / "store");
  TrainOptions options = iglu_options(s, dir.path());
  options.optimizer.lr = lr;
  Engine<double> engine(store, options);
  Session<double>& session = engine.session;
  IgluMethod<double> method(session);
  method.prepare();
  std::vector<double> errors(session.parameters.groups(), -1);
  StepObserver<double> observer;
  observer.before_step = [&](const StepEvent& event, const Parameters<double>& p) {
    std::size_t group = 0;
    while (p.group_name(group) != event.group) ++group;
    const DenseRun dense = run_dense(session.model, p, graph, false, 1.0);
    const auto range = p.group_range(group);
    const std::vector<double> got(p.gradients().begin() + range.first, p.gradients().begin() + range.second);
    errors[group] = relative_difference(got, slice(dense.gradients, range));
  };
  (void)method.train_epoch(1, nullptr, observer);
  return errors;
}

void check_proportional(const std::vector<double>& coarse, const std::vector<double>& fine, std::size_t group) {
  CHECK(coarse[group] > 1e-9);  // really stale
  CHECK(coarse[group] / fine[group] == doctest::Approx(10).epsilon(0.05));
}

TEST_CASE("inverted order: layer 1's gradient is exact, the others' error is proportional to the rate (check 9)") {
  for (const Setting& s : settings(IgluOrder::inverted)) {
    for (const TinyStoreOptions& o : stores()) {
      const std::vector<double> coarse = staleness_errors(s, o, 1e-5);
      const std::vector<double> fine = staleness_errors(s, o, 1e-6);
      REQUIRE(coarse.size() == fine.size());
      CHECK(std::abs(coarse.front()) < 1e-12);
      for (std::size_t g = 1; g + 1 < coarse.size(); ++g) check_proportional(coarse, fine, g);
      CHECK(std::abs(coarse.back()) < 1e-12);  // the top group takes the fresh loss gradient
    }
  }
}

// The layer below the top is exact as well: its alpha comes from the top's new weights, and no X below has changed yet.
TEST_CASE("backprop order: the top group's gradient is exact, those further down err in proportion (check 9)") {
  for (const Setting& s : settings(IgluOrder::backprop)) {
    for (const TinyStoreOptions& o : stores()) {
      const std::vector<double> coarse = staleness_errors(s, o, 1e-5);
      const std::vector<double> fine = staleness_errors(s, o, 1e-6);
      const std::size_t top = coarse.size() - 1;
      CHECK(std::abs(coarse[top]) < 1e-12);
      CHECK(std::abs(coarse[top - 1]) < 1e-12);
      for (std::size_t g = 0; g + 1 < top; ++g) check_proportional(coarse, fine, g);
    }
  }
}

// What training reads at layer index l instead of X of the layer below.
std::vector<double> frozen(Session<double>& session, IgluMethod<double>& method, std::size_t l) {
  return rows_read<double>(method.rows().inputs(l).z, PassRows(session.rows(l), RowPart::train));
}

void check_backprop_alphas(const Setting& s, const TinyStoreOptions& o) {
  TempDir dir;
  const TinyGraph graph = make_tiny_store(dir.path() / "store", o);
  const Store store(dir.path() / "store");
  TrainOptions options = iglu_options(s, dir.path());
  options.optimizer.lr = 1e-3;
  options.batch_size = 20;
  Engine<double> engine(store, options);
  Session<double>& session = engine.session;
  const Model& model = session.model;
  IgluMethod<double> method(session);
  method.prepare();
  const std::size_t top = model.layers.size() - 1;
  const std::vector<Dense> x = run_dense(model, session.parameters, graph, false, 1.0).x;  // what is cached
  std::vector<std::vector<double>> z;  // what the layers above the first read
  for (std::size_t l = 0; l < top; ++l) {
    z.push_back(frozen(session, method, l + 1));
    if (!method.rows().stores_x(l)) continue;
    CHECK(relative_difference(all_rows<double>(method.rows().x(l)),
                              rows_of(x[l], members(session.rows(l), RowPart::train))) < 1e-12);
  }
  const auto alpha = [&](std::size_t l) { return scattered(method.alpha(l), session.rows(l)); };
  std::size_t l = top;
  Dense gathered(o.nodes, model.layers[0].out);  // at X^1, of the layers that add to it
  StepObserver<double> observer;
  observer.before_step = [&](const StepEvent& event, const Parameters<double>& p) {
    if (event.group == model.group_names[l]) return;
    REQUIRE(l > 0);
    REQUIRE(event.group == model.group_names[--l]);  // from the top down, each layer once
    for (std::size_t i = 0; i < top; ++i) CHECK(frozen(session, method, i + 1) == z[i]);
    const Dense above = l + 1 < top ? alpha(l + 1) : Dense();
    Dense share;
    Dense exact =
        dense_gradient_below(model, p, graph, l + 1, x[l], l + 1 < top ? &above : nullptr, &x.front(), &share);
    const auto add = [&](const Dense& more) {
      for (std::size_t i = 0; i < exact.v.size(); ++i) exact.v[i] += more.v[i];
    };
    for (std::size_t i = 0; model.layers[l + 1].initial && i < gathered.v.size(); ++i) gathered.v[i] += share.v[i];
    if (l == 0) add(gathered);
    if (model.layers[l + 1].skip == 1) add(above);
    if (l + 2 < top && model.layers[l + 2].skip == 2) add(alpha(l + 2));
    CHECK(relative_difference(alpha(l).v, exact.v) < 1e-12);
  };
  (void)method.train_epoch(1, nullptr, observer);
  CHECK(l == 0);
  // evaluation is exact under the present parameters
  const DenseRun dense = run_dense(model, session.parameters, graph, false, 1.0);
  const std::vector<NodeId> split = nodes_of_splits(graph), all = every_node(o.nodes);
  CHECK(relative_difference(rows_of_nodes<double>(method.logits(), split), rows_of(dense.x.back(), split)) < 1e-12);
  const Inference<double> inference(session, all, true);
  CHECK(relative_difference(rows_of_nodes<double>(inference.logits(), all), dense.x.back().v) < 1e-12);
  CHECK(relative_difference(rows_of_nodes<double>(inference.embeddings(), all), dense.x[top - 1].v) < 1e-12);
}

TEST_CASE("backprop order: each alpha is the exact gradient at the cached X under the new parameters (check 10)") {
  for (const Setting& s : settings(IgluOrder::backprop)) {
    for (const TinyStoreOptions& o : stores()) check_backprop_alphas(s, o);
  }
}

// Everything a sweep for evaluation fills, in one row.
std::vector<float> swept(Session<float>& session, IgluMethod<float>& method) {
  std::vector<float> all;
  for (std::size_t l = 0; l < session.model.layers.size(); ++l) {
    for (const RowPart part : {RowPart::train, RowPart::eval}) {
      const PassRows rows(session.rows(l), part);
      if (rows.count() == 0) continue;
      const std::vector<float> z = rows_read<float>(method.rows().inputs(l, part).z, rows);
      all.insert(all.end(), z.begin(), z.end());
      if (!method.rows().stores_x(l)) continue;
      const std::vector<float> x = rows_of_nodes<float>(method.rows().by_node(l), members(session.rows(l), part));
      all.insert(all.end(), x.begin(), x.end());
    }
  }
  return all;
}

TEST_CASE("after an inverted epoch the cached rows are a fresh forward, bit for bit (check 10)") {
  for (const Setting& s : settings(IgluOrder::inverted)) {
    for (const TinyStoreOptions& o : stores()) {
      TempDir dir;
      (void)make_tiny_store(dir.path() / "store", o);
      const Store store(dir.path() / "store");
      TrainOptions options = iglu_options(s, dir.path());
      options.codec = options.alpha_codec = Codec::fp32;
      options.model.dropout = 0.4;
      Engine<float> engine(store, options);
      IgluMethod<float> method(engine.session);
      method.prepare();
      (void)method.train_epoch(1, nullptr, {});
      (void)method.train_epoch(2, nullptr, {});
      (void)method.logits();
      const std::vector<float> cached = swept(engine.session, method);
      method.prepare();
      (void)method.logits();
      CHECK(cached == swept(engine.session, method));
    }
  }
}

TEST_CASE("the batches' gradients add up to the full layer's (check 11)") {
  for (const Setting& s : all_settings()) {
    TempDir dir;
    TinyStoreOptions o;
    o.nodes = 2600;
    o.edges = 9000;
    (void)make_tiny_store(dir.path() / "store", o);
    const Store store(dir.path() / "store");
    TrainOptions options = iglu_options(s, dir.path());
    options.optimizer.lr = 0;
    Engine<double> one(store, options);
    IgluMethod<double> whole(one.session);
    whole.prepare();
    options.batch_size = 0;
    const auto exact = epoch_gradients(one.session, whole);
    options.batch_size = 700;  // units of 700 nodes: four batches of the hidden layers
    Engine<double> many(store, options);
    IgluMethod<double> parts(many.session);
    parts.prepare();
    std::vector<std::vector<double>> sums(exact.size());
    std::uint64_t steps = 0;
    StepObserver<double> observer;
    observer.before_step = [&](const StepEvent& event, const Parameters<double>& p) {
      for (std::size_t g = 0; g < p.groups(); ++g) {
        if (p.group_name(g) != event.group) continue;
        const auto [first, last] = p.group_range(g);
        sums[g].resize(last - first);
        for (std::size_t i = first; i < last; ++i) sums[g][i - first] += p.gradients()[i];
      }
      ++steps;
    };
    (void)parts.train_epoch(1, nullptr, observer);
    CHECK(steps > exact.size());
    for (std::size_t g = 0; g < exact.size(); ++g) CHECK(relative_difference(sums[g], exact[g]) < 1e-12);
  }
}

TEST_CASE("at rate 0 without dropout nothing changes, and a refresh of alpha is idempotent (check 13)") {
  for (const Setting& s : all_settings()) {
    TempDir dir;
    const TinyGraph graph = make_tiny_store(dir.path() / "store", TinyStoreOptions{});
    const Store store(dir.path() / "store");
    TrainOptions options = iglu_options(s, dir.path());
    options.optimizer.lr = 0;
    Engine<double> engine(store, options);
    IgluMethod<double> method(engine.session);
    method.prepare();
    const std::vector<NodeId> split = nodes_of_splits(graph);
    const auto before = rows_of_nodes<double>(method.logits(), split);
    const double first = method.train_epoch(1, nullptr, {}).loss;
    const auto alpha = all_rows<double>(method.alpha(0));
    const double second = method.train_epoch(2, nullptr, {}).loss;
    CHECK(first == second);
    CHECK(first > 0);
    CHECK(alpha == all_rows<double>(method.alpha(0)));
    CHECK(before == rows_of_nodes<double>(method.logits(), split));
  }
}

TEST_CASE(
    "unlabelled nodes count: batches of training nodes alone give another gradient of a hidden layer (check 15)") {
  for (const Setting& s : all_settings()) {
    if (s.model == ModelKind::mlp) continue;  // nothing reaches them without a graph
    TempDir dir;
    TinyStoreOptions o;
    o.labelled = 0.5;
    const TinyGraph graph = make_tiny_store(dir.path() / "store", o);
    const Store store(dir.path() / "store");
    TrainOptions options = iglu_options(s, dir.path());
    options.optimizer.lr = 0;
    Engine<double> engine(store, options);
    IgluMethod<double> method(engine.session);
    method.prepare();
    const auto all = epoch_gradients(engine.session, method);
    const EpochBatches training{{"layer1", graph.train}};
    StepObserver<double> observer;
    std::uint64_t steps = 0;
    observer.before_step = [&](const StepEvent&, const Parameters<double>& p) {
      const auto [first, last] = p.group_range(0);
      const std::vector<double> part(p.gradients().begin() + first, p.gradients().begin() + last);
      CHECK(relative_difference(part, all[0]) > 1e-3);
      ++steps;
    };
    (void)method.train_epoch(2, &training, observer);
    CHECK(steps == 1);
  }
}

// What stood still at each step of layer 1: alpha of layer 1 in the inverted order, the aggregate of X^1 in the
// backprop order.
struct Refreshes {
  std::vector<std::vector<double>> seen;  // distinct, in order
  std::vector<std::string> groups;        // of all steps
  std::vector<std::size_t> steps;         // of layer 1, by entry of seen
};

Refreshes watch(IgluOrder order, IgluRefresh refresh, std::uint32_t epochs, bool evaluate) {
  TempDir dir;
  (void)make_tiny_store(dir.path() / "store", TinyStoreOptions{});
  const Store store(dir.path() / "store");
  TrainOptions options = iglu_options({ModelKind::gcn, ClassifierKind::linear, NormKind::none}, dir.path());
  options.iglu_order = order;
  options.iglu_refresh = refresh;
  options.batch_size = 12;  // five batches of sixty nodes
  Engine<double> engine(store, options);
  IgluMethod<double> method(engine.session);
  method.prepare();
  Refreshes result;
  StepObserver<double> observer;
  observer.before_step = [&](const StepEvent& event, const Parameters<double>&) {
    result.groups.push_back(event.group);
    if (event.group != "layer1") return;
    std::vector<double> now =
        order == IgluOrder::inverted ? all_rows<double>(method.alpha(0)) : frozen(engine.session, method, 1);
    if (result.seen.empty() || result.seen.back() != now) {
      result.seen.push_back(std::move(now));
      result.steps.push_back(0);
    }
    ++result.steps.back();
  };
  for (std::uint32_t epoch = 1; epoch <= epochs; ++epoch) {
    CHECK(method.at_boundary() == (refresh != IgluRefresh::alternate || epoch % 2 == 1));
    (void)method.train_epoch(epoch, nullptr, observer);
    if (evaluate) (void)method.logits();
  }
  return result;
}

TEST_CASE("refreshes an epoch: 0.5 in odd epochs, 1 in each, 2 before each half, the first the longer") {
  for (const IgluOrder order : {IgluOrder::inverted, IgluOrder::backprop}) {
    for (const bool evaluate : {false, true}) {
      CHECK(watch(order, IgluRefresh::alternate, 5, evaluate).steps == std::vector<std::size_t>{10, 10, 5});
      CHECK(watch(order, IgluRefresh::once, 3, evaluate).steps == std::vector<std::size_t>{5, 5, 5});
      CHECK(watch(order, IgluRefresh::twice, 2, evaluate).steps == std::vector<std::size_t>{3, 2, 3, 2});
    }
    const Refreshes once = watch(order, IgluRefresh::once, 1, false);
    const Refreshes twice = watch(order, IgluRefresh::twice, 1, false);
    CHECK(once.groups.size() == twice.groups.size());  // the same steps, in another order
    CHECK(once.groups != twice.groups);
    const std::string first = order == IgluOrder::inverted ? "layer1" : "head";
    CHECK(twice.groups.front() == first);
    CHECK(std::count(twice.groups.begin(), twice.groups.end(), first) ==
          std::count(once.groups.begin(), once.groups.end(), first));
    CHECK(std::is_sorted(once.groups.begin(), once.groups.end(), [&](const std::string& a, const std::string& b) {
      return order == IgluOrder::inverted ? a != "head" && (b == "head" || a < b)
                                          : b != "head" && (a == "head" || a > b);
    }));
  }
}

}  // namespace
}  // namespace strata::test
