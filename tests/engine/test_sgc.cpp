// SGC: powers of A on the features, kept in the store, and a linear model on the last one.
#include <doctest/doctest.h>

#include <algorithm>

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
        CHECK(relative_difference(all_rows<double>(method.logits()), dense.x.back().v) < 1e-12);
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
  return all_rows<float>(method.logits());
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

TEST_CASE("evaluation computes the chunks that hold nodes of a split, to the bits of computing all") {
  TempDir dir;
  TinyStoreOptions o;
  o.nodes = 9000;
  o.edges = 9000;
  o.labelled = 0.0008;  // about seven nodes in nine chunks
  const TinyGraph graph = make_tiny_store(dir.path() / "store", o);
  const Store store(dir.path() / "store");
  std::vector<NodeId> ids = graph.train;
  ids.insert(ids.end(), graph.valid.begin(), graph.valid.end());
  ids.insert(ids.end(), graph.test.begin(), graph.test.end());
  std::sort(ids.begin(), ids.end());
  std::vector<std::uint32_t> chunks;
  for (const NodeId id : ids) chunks.push_back(id / kChunkRows);
  chunks.erase(std::unique(chunks.begin(), chunks.end()), chunks.end());
  REQUIRE(chunks.size() < 9);
  Engine<float> engine(store, sgc_options(dir.path(), 2, false));
  SgcMethod<float> method(engine.session);
  method.prepare();
  CHECK(std::vector<std::uint32_t>(method.split_chunks().begin(), method.split_chunks().end()) == chunks);
  for (std::uint32_t epoch = 1; epoch <= 2; ++epoch) {
    (void)method.train_epoch(epoch, nullptr, {});
    std::vector<float> part(ids.size() * o.classes), all(part);
    read_rows<float>(method.split_logits(), ids, {part.data(), ids.size(), o.classes});
    read_rows<float>(method.logits(), ids, {all.data(), ids.size(), o.classes});
    CHECK(part == all);
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
