// SGC: powers of A on the features, kept in the store, and a linear model on the last one.
#include <doctest/doctest.h>

#include <algorithm>

#include "engine/inference.hpp"
#include "engine/methods/sgc.hpp"
#include "engine/plan.hpp"
#include "kernels/base/error.hpp"
#include "storage/derived.hpp"
#include "tests/engine/fixture.hpp"
#include "tests/support/dense_model.hpp"

namespace strata::test {
namespace {

TrainOptions sgc_options(const std::filesystem::path& directory, std::size_t hops, bool exact) {
  TrainOptions o = base_options(directory, exact);
  o.method = MethodKind::sgc;
  o.model.layers = hops;
  return o;
}

TEST_CASE("the model is PyG's SGConv: one linear map of A^K X, named lin") {
  TempDir dir;
  (void)make_tiny_store(dir.path() / "store", TinyStoreOptions{});
  const Store store(dir.path() / "store");
  Engine<double> engine(store, sgc_options(dir.path(), 3, true));
  const Model& model = engine.session.model;
  REQUIRE(model.layers.size() == 1);
  REQUIRE(model.tensors.size() == 2);
  CHECK(model.tensors[0].name == "lin.weight");
  CHECK(model.tensors[0].shape == std::vector<std::size_t>{3, 5});
  CHECK(model.tensors[1].name == "lin.bias");
  CHECK(model.tensors[1].shape == std::vector<std::size_t>{3});
  ModelOptions sage;
  sage.kind = ModelKind::sage;
  CHECK_THROWS_AS((void)build_model(sage, MethodKind::sgc, 5, 3), UsageError);
}

TEST_CASE("logits and the batches' summed gradients equal the dense twin's") {
  for (const std::size_t hops : {1u, 2u, 4u}) {
    for (const bool multilabel : {false, true}) {
      for (const Aggregation aggregation : {Aggregation::none, Aggregation::row_with_self}) {
        TempDir dir;
        TinyStoreOptions o;
        o.multilabel = multilabel;
        o.undirected = false;
        o.labelled = 0.8;
        const TinyGraph graph = make_tiny_store(dir.path() / "store", o);
        const Store store(dir.path() / "store");
        TrainOptions options = sgc_options(dir.path(), hops, true);
        options.model.aggregation = aggregation;
        options.batch_size = 7;
        options.optimizer.lr = 0;
        Engine<double> engine(store, options);
        SgcMethod<double> method(engine.session);
        method.prepare();
        const DenseRun dense = run_dense(engine.session.model, engine.session.parameters, graph, multilabel, 1.0);
        const std::vector<NodeId> split = nodes_of_splits(graph);
        CHECK(relative_difference(rows_of_nodes<double>(method.logits(), split), rows_of(dense.x.back(), split)) <
              1e-12);
        CHECK(all_zero(rows_of(dense.alpha[0], nodes_outside(engine.session.rows(0), true))));
        const std::vector<NodeId> all = every_node(o.nodes);
        const Inference<double> inference(engine.session, all, false);
        CHECK(relative_difference(rows_of_nodes<double>(inference.logits(), all), dense.x.back().v) < 1e-12);
        std::vector<double> sum(dense.gradients.size());
        StepObserver<double> observer;
        observer.before_step = [&](const StepEvent& event, const Parameters<double>& p) {
          CHECK(event.group == "head");
          for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += p.gradients()[i];
        };
        const EpochReport report = method.train_epoch(1, nullptr, observer);
        CHECK(report.steps == divide_up(graph.train.size(), 7));
        CHECK(report.node_visits == graph.train.size());
        CHECK(relative_difference(sum, dense.gradients) < 1e-12);
      }
    }
  }
}

std::vector<float> trained(const Store& store, const TrainOptions& options) {
  Engine<float> engine(store, options);
  SgcMethod<float> method(engine.session);
  method.prepare();
  for (std::uint32_t epoch = 1; epoch <= 3; ++epoch) (void)method.train_epoch(epoch, nullptr, {});
  const std::vector<NodeId> all = every_node(engine.session.nodes());
  const Inference<float> inference(engine.session, all, false);
  return rows_of_nodes<float>(inference.logits(), all);
}

TEST_CASE("every power is kept in the store; with some of them kept the bits are those of computing them all") {
  TempDir dir;
  for (const char* name : {"a", "b"}) (void)make_tiny_store(dir.path() / name, TinyStoreOptions{});
  const Store fresh(dir.path() / "a");
  const Store used(dir.path() / "b");
  const std::vector<float> alone = trained(fresh, sgc_options(dir.path(), 3, false));
  (void)trained(used, sgc_options(dir.path(), 2, false));
  CHECK(has_derived(used, "aggregate-sym-fp32"));
  CHECK(has_derived(used, "aggregate-sym-fp32-power2"));
  CHECK_FALSE(has_derived(used, "aggregate-sym-fp32-power3"));
  CHECK(trained(used, sgc_options(dir.path(), 3, false)) == alone);
  CHECK(has_derived(used, "aggregate-sym-fp32-power3"));
  CHECK(trained(used, sgc_options(dir.path(), 3, false)) == alone);  // nothing left to compute
  CHECK_FALSE(trained(used, sgc_options(dir.path(), 2, false)) == alone);
}

TEST_CASE("training and evaluation keep the rows of the splits alone, to the bits of computing all") {
  TempDir dir;
  TinyStoreOptions o;
  o.nodes = 9000;
  o.edges = 9000;
  o.labelled = 0.0008;  // about seven nodes in nine chunks
  const TinyGraph graph = make_tiny_store(dir.path() / "store", o);
  const Store store(dir.path() / "store");
  const std::vector<NodeId> ids = nodes_of_splits(graph), all = every_node(o.nodes);
  REQUIRE(ids.size() < 20);
  Engine<float> engine(store, sgc_options(dir.path(), 2, false));
  SgcMethod<float> method(engine.session);
  method.prepare();
  CHECK(members(engine.session.rows(0), RowPart::train) == graph.train);
  CHECK(nodes_outside(engine.session.rows(0), false).size() == o.nodes - ids.size());
  for (std::uint32_t epoch = 1; epoch <= 2; ++epoch) {
    (void)method.train_epoch(epoch, nullptr, {});
    const RowSource logits = method.logits();
    CHECK(logits.store->shape().rows == graph.train.size());
    const std::vector<float> part = rows_of_nodes<float>(logits, ids);
    const Inference<float> inference(engine.session, all, false);
    CHECK(part == rows_of_nodes<float>(inference.logits(), ids));
    CHECK(std::any_of(part.begin(), part.end(), [](float v) { return v != 0; }));
  }
}

TEST_CASE("the powers come out the same when the rows do not fit in memory") {
  TempDir dir;
  TinyStoreOptions o;
  o.nodes = 9000;
  o.edges = 30000;
  o.features = 70;
  o.shard_rows = 2048;
  for (const char* name : {"a", "b"}) (void)make_tiny_store(dir.path() / name, o);
  const Store roomy(dir.path() / "a");
  const Store tight(dir.path() / "b");
  TrainOptions options = sgc_options(dir.path(), 3, false);
  options.threads = 2;
  const std::vector<float> memory = trained(roomy, options);
  const Model model = build_model(options.model, options.method, o.features, o.classes);
  options.host_memory = plan_memory(options, tight.info(), model, options.threads).least;
  CHECK(trained(tight, options) == memory);
}

}  // namespace
}  // namespace strata::test
