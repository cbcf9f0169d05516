// IGLU's schedule, inverted order, in double precision: checks 8-13 of the methods' list.
#include <doctest/doctest.h>

#include <cmath>

#include "engine/methods/iglu.hpp"
#include "tests/engine/fixture.hpp"
#include "tests/support/dense_model.hpp"

namespace strata::test {
namespace {

struct Setting {
  ModelKind model;
  ClassifierKind classifier;
  NormKind norm;
};
const std::vector<Setting> kSettings = {{ModelKind::gcn, ClassifierKind::none, NormKind::none},
                                        {ModelKind::gcn, ClassifierKind::linear, NormKind::layer},
                                        {ModelKind::sage, ClassifierKind::none, NormKind::none},
                                        {ModelKind::sage, ClassifierKind::linear, NormKind::layer}};

TrainOptions iglu_options(const Setting& s, const std::filesystem::path& directory) {
  TrainOptions o = base_options(directory, true);
  o.method = MethodKind::iglu;
  o.model.kind = s.model;
  o.model.classifier = s.classifier;
  o.model.norm = s.norm;
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

TEST_CASE("alpha and gradients before any update equal full backpropagation (check 8)") {
  for (const Setting& s : kSettings) {
    for (const bool multilabel : {false, true}) {
      TempDir dir;
      TinyStoreOptions o;
      o.undirected = false;
      o.multilabel = multilabel;
      const TinyGraph graph = make_tiny_store(dir.path() / "store", o);
      const Store store(dir.path() / "store");
      TrainOptions options = iglu_options(s, dir.path());
      options.optimizer.lr = 0;  // nothing moves: all of the epoch's gradients are at the initial parameters
      Engine<double> engine(store, options);
      IgluMethod<double> method(engine.session);
      method.prepare();
      const DenseRun dense = run_dense(engine.session.model, engine.session.parameters, graph, multilabel, 1.0);
      method.refresh_alpha();
      for (std::size_t l = 0; l + 1 < engine.session.model.layers.size(); ++l) {
        CHECK(relative_difference(all_rows<double>(method.alpha(l)), dense.alpha[l].v) < 1e-12);
      }
      const auto gradients = epoch_gradients(engine.session, method);
      for (std::size_t g = 0; g < gradients.size(); ++g) {
        CHECK(relative_difference(gradients[g], slice(dense.gradients, engine.session.parameters.group_range(g))) <
              1e-12);
      }
    }
  }
}

// Relative error of every group's gradient in one epoch at rate `lr`, against the exact gradient at the
// parameters the group saw when it stepped.
std::vector<double> staleness_errors(const Setting& s, double lr) {
  TempDir dir;
  const TinyGraph graph = make_tiny_store(dir.path() / "store", TinyStoreOptions{});
  const Store store(dir.path() / "store");
  TrainOptions options = iglu_options(s, dir.path());
  options.optimizer.lr = lr;
  Engine<double> engine(store, options);
  Session<double>& session = engine.session;
  IgluMethod<double> method(session);
  method.prepare();
  std::vector<double> errors;
  StepObserver<double> observer;
  observer.before_step = [&](const StepEvent&, const Parameters<double>& p) {
    const DenseRun dense = run_dense(session.model, p, graph, false, 1.0);
    const auto range = p.group_range(errors.size());
    const std::vector<double> got(p.gradients().begin() + range.first, p.gradients().begin() + range.second);
    errors.push_back(relative_difference(got, slice(dense.gradients, range)));
  };
  (void)method.train_epoch(1, nullptr, observer);
  return errors;
}

TEST_CASE("inverted order: layer 1's gradient is exact, the others' error is proportional to the rate (check 9)") {
  for (const Setting& s : kSettings) {
    const std::vector<double> coarse = staleness_errors(s, 1e-5);
    const std::vector<double> fine = staleness_errors(s, 1e-6);
    REQUIRE(coarse.size() == fine.size());
    CHECK(coarse.front() < 1e-12);
    for (std::size_t g = 1; g + 1 < coarse.size(); ++g) {
      CHECK(coarse[g] > 1e-9);  // really stale
      CHECK(coarse[g] / fine[g] == doctest::Approx(10).epsilon(0.05));
    }
    CHECK(coarse.back() < 1e-12);  // the top group takes the fresh loss gradient
  }
}

TEST_CASE("after an inverted epoch the cached rows are a fresh forward, bit for bit (check 10)") {
  for (const Setting& s : kSettings) {
    TempDir dir;
    (void)make_tiny_store(dir.path() / "store", TinyStoreOptions{});
    const Store store(dir.path() / "store");
    TrainOptions options = iglu_options(s, dir.path());
    options.codec = options.alpha_codec = Codec::fp32;
    options.model.dropout = 0.4;
    Engine<float> engine(store, options);
    IgluMethod<float> method(engine.session);
    method.prepare();
    (void)method.train_epoch(1, nullptr, {});
    (void)method.train_epoch(2, nullptr, {});
    const std::vector<float> cached = all_rows<float>(method.logits());
    const std::vector<float> hidden = all_rows<float>(method.embeddings());
    method.prepare();
    CHECK(cached == all_rows<float>(method.logits()));
    CHECK(hidden == all_rows<float>(method.embeddings()));
  }
}

TEST_CASE("the batches' gradients add up to the full layer's (check 11)") {
  for (const Setting& s : kSettings) {
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
  for (const Setting& s : kSettings) {
    TempDir dir;
    (void)make_tiny_store(dir.path() / "store", TinyStoreOptions{});
    const Store store(dir.path() / "store");
    TrainOptions options = iglu_options(s, dir.path());
    options.optimizer.lr = 0;
    Engine<double> engine(store, options);
    IgluMethod<double> method(engine.session);
    method.prepare();
    const auto before = all_rows<double>(method.logits());
    const double first = method.train_epoch(1, nullptr, {}).loss;
    const auto alpha = all_rows<double>(method.alpha(0));
    const double second = method.train_epoch(2, nullptr, {}).loss;
    CHECK(first == second);
    CHECK(first > 0);
    CHECK(alpha == all_rows<double>(method.alpha(0)));
    CHECK(before == all_rows<double>(method.logits()));
  }
}

}  // namespace
}  // namespace strata::test
