// Inductive sessions: training knows the training graph alone, evaluation and prediction the full one.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "storage/derived.hpp"
#include "tests/engine/runs.hpp"

namespace strata::test {
namespace {

constexpr std::uint32_t kNodes = 2700, kTraining = 1300;

TinyStoreOptions tiny(bool undirected, std::uint32_t nodes = kNodes) {
  TinyStoreOptions o;
  o.nodes = nodes;
  o.edges = 2 * nodes;
  o.features = 40;
  o.undirected = undirected;
  o.shard_rows = 1024;
  o.labelled = 0.8;
  o.inductive = true;
  return o;
}

// Nodes [0, training) are those of split train, some of them without a label; the hub among them has neighbours on both
// sides, and nodes that only others knew have no edge left.
TinyGraph with_training_first(const TinyStoreOptions& o, NodeId training) {
  TinyGraph graph = make_tiny_graph(o);
  graph.train = graph.valid = graph.test = {};
  for (NodeId i = 0; i < o.nodes; ++i) {
    if (i < training) {
      graph.train.push_back(i);
    } else if (graph.labels[i] != -1) {
      (i % 2 == 0 ? graph.valid : graph.test).push_back(i);
    }
  }
  return graph;
}

// The training graph as a data set of its own: same ids, nothing else in it.
void write_training_part(const std::filesystem::path& path, TinyStoreOptions o, const TinyGraph& graph) {
  TinyGraph part;
  const std::size_t nodes = graph.train.size();
  part.in = training_edges(graph);
  part.in.resize(nodes);
  part.features.assign(graph.features.begin(), graph.features.begin() + nodes * o.features);
  part.labels.assign(graph.labels.begin(), graph.labels.begin() + nodes);
  part.targets.assign(graph.targets.begin(), graph.targets.begin() + nodes);
  part.train = graph.train;
  o.nodes = static_cast<std::uint32_t>(nodes);
  o.inductive = false;
  write_tiny_store(path, o, part);
}

TEST_CASE("training gives the bits of training on a store that holds nothing but the training graph") {
  for (const bool undirected : {true, false}) {
    TempDir dir;
    const TinyStoreOptions o = tiny(undirected);
    const TinyGraph graph = with_training_first(o, kTraining);
    const auto in = training_edges(graph);
    const auto alone = [&](NodeId id) { return in[id].empty() && !graph.in[id].empty(); };
    REQUIRE(std::count_if(graph.train.begin(), graph.train.end(), alone) > 10);
    write_tiny_store(dir.path() / "full", o, graph);
    write_training_part(dir.path() / "part", o, graph);
    const Store full(dir.path() / "full"), part(dir.path() / "part");
    for (Mode mode : kModes) {
      const TrainOptions options = options_for(mode, dir.path());
      const Result whole = train(full, options);
      CHECK(whole.parameters == train(part, options).parameters);
      TrainOptions transductive = options;
      transductive.inductive = false;
      CHECK((whole.parameters == train(full, transductive).parameters) == (mode.model == ModelKind::mlp));
    }
  }
}

std::vector<float> predicted(const Store& store, TrainOptions options, const std::vector<float>& parameters) {
  options.inductive = false;
  Engine<float> engine(store, options);
  REQUIRE_FALSE(engine.session.inductive);
  std::ranges::copy(parameters, engine.session.parameters.values().begin());
  const std::vector<NodeId> split = nodes_of_splits(engine.session.objective);
  const Inference<float> inference(engine.session, split, false);
  return rows_of_nodes<float>(inference.logits(), split);
}

TEST_CASE("evaluation is that of the same weights on the full graph") {
  TempDir dir;
  const TinyStoreOptions o = tiny(false);
  (void)make_tiny_store(dir.path() / "store", o);
  const Store store(dir.path() / "store");
  for (const Mode& mode : kModes) {
    const TrainOptions options = options_for(mode, dir.path());
    const Result result = train(store, options);  // checks that Inference agrees
    CHECK(result.logits == predicted(store, options, result.parameters));
  }
}

TEST_CASE("embeddings of any nodes come from the full graph") {
  TempDir dir;
  (void)make_tiny_store(dir.path() / "store", tiny(true));
  const Store store(dir.path() / "store");
  for (const Mode& mode : {Mode{MethodKind::full, ModelKind::gcn, ResidualKind::none},
                           Mode{MethodKind::sgc, ModelKind::gcn, ResidualKind::none}}) {
    TrainOptions options = options_for(mode, dir.path());
    const std::vector<NodeId> all = every_node(kNodes);
    std::vector<std::vector<float>> found;
    for (const bool inductive : {true, false}) {
      options.inductive = inductive;
      Engine<float> engine(store, options);
      const Inference<float> inference(engine.session, all, true);
      found.push_back(rows_of_nodes<float>(inference.embeddings(), all));
    }
    CHECK(found[0] == found[1]);
  }
}

TEST_CASE("a training split of all nodes gives the bits of a transductive run") {
  TempDir dir;
  TinyStoreOptions o = tiny(false, 2100);
  const TinyGraph graph = with_training_first(o, o.nodes);
  REQUIRE(training_edges(graph) == graph.in);
  write_tiny_store(dir.path() / "store", o, graph);
  const Store store(dir.path() / "store");
  for (const Mode& mode : kModes) {
    TrainOptions options = options_for(mode, dir.path());
    const Result inductive = train(store, options);
    options.inductive = false;
    CHECK(inductive == train(store, options));
  }
}

TEST_CASE("training rows are those that training nodes see in the training graph; evaluation has its own") {
  TempDir dir;
  const TinyStoreOptions o = tiny(false);
  const TinyGraph graph = make_tiny_store(dir.path() / "store", o);
  const Store store(dir.path() / "store");
  const auto in = training_edges(graph);
  for (int round = 0; round < 2; ++round) {  // computed, then loaded
    Engine<float> engine(store, options_for(MethodKind::full, ModelKind::gcn, dir.path()));
    const Session<float>& session = engine.session;
    REQUIRE(session.inductive);
    CHECK(session.sets.loaded() == (round == 1));
    CHECK(session.full->sets.loaded() == (round == 1));
    std::set<NodeId> training(graph.train.begin(), graph.train.end());
    std::set<NodeId> evaluated;
    for (const NodeId id : nodes_of_splits(graph)) evaluated.insert(id);
    for (std::size_t k = session.sets.layers(); k > 0; --k) {
      CHECK(session.sets.layer(k).eval_rows() == 0);
      CHECK(members(session.sets.layer(k), RowPart::train) == std::vector<NodeId>(training.begin(), training.end()));
      CHECK(session.full->sets.layer(k).eval_rows() == 0);
      CHECK(members(session.full->sets.layer(k), RowPart::train) ==
            std::vector<NodeId>(evaluated.begin(), evaluated.end()));
      for (const NodeId id : std::vector<NodeId>(training.begin(), training.end())) {
        training.insert(in[id].begin(), in[id].end());
      }
      for (const NodeId id : std::vector<NodeId>(evaluated.begin(), evaluated.end())) {
        evaluated.insert(graph.in[id].begin(), graph.in[id].end());
      }
    }
  }
}

// Rows beyond the training nodes would join batches and statistics.
TEST_CASE("a layer that nearly all training nodes are active in takes them all, and no other node") {
  TempDir dir;
  TinyStoreOptions o = tiny(false, 70000);
  o.features = 1;
  o.shard_rows = 0;
  constexpr NodeId kTrains = 66000, kLabelled = kTrains * 19 / 100;
  TinyGraph graph;
  graph.in.resize(o.nodes);
  for (NodeId i = 0; i < kLabelled; ++i) {
    for (NodeId j = 0; j < 5; ++j) graph.in[i].push_back(5 * i + j);
  }
  for (NodeId i = kTrains; i < o.nodes; ++i) graph.in[i] = {0};
  graph.in[0].push_back(kTrains);
  graph.features.resize(o.nodes);
  graph.labels.assign(o.nodes, 1);
  for (NodeId i = 0; i < kTrains; ++i) graph.train.push_back(i);
  write_tiny_store(dir.path() / "store", o, graph);
  const Store store = Store(dir.path() / "store").train_graph();
  MemoryBudget budget(std::uint64_t{1} << 28);
  Workers workers(1);
  const std::span<const NodeId> train(graph.train);
  const ActiveSets sets(store, {true, true, true}, LabelledNodes{train.first(kLabelled), {}, {}}, workers, budget);
  CHECK(sets.layer(3).train_rows() == kLabelled);
  CHECK(members(sets.layer(2), RowPart::train) == graph.train);
  CHECK(members(sets.layer(1), RowPart::train) == graph.train);
  CHECK_FALSE(sets.layer(1).is_identity());
}

// Runs of a few epochs whose bits must be those of `expected`.
void check_everywhere(const Store& store, TrainOptions options, const Result& expected) {
  for (const std::uint32_t threads : {1u, 3u}) {
    options.threads = threads;
    for (const bool tight : {false, true}) {
      options.product_way = tight == (threads == 3) ? ProductWay::tiles : ProductWay::automatic;
      const std::uint64_t least = least_budget(store, options);
      options.host_memory = tight ? least : least + least / 2;
      options.eval_every = tight ? 0 : 2;
      const Result result = train(store, options, threads == 3);
      CHECK(result == expected);
      CHECK(result.peak <= options.host_memory);
      if (tight && options.method != MethodKind::sgc) CHECK(result.counters.bytes_written > 0);
    }
  }
}

TEST_CASE("budget, threads, the products' way and evaluation rhythm change no bit of an inductive run") {
  TempDir dir;
  (void)make_tiny_store(dir.path() / "store", tiny(false, 9000));
  const Store store(dir.path() / "store");
  for (const Mode& mode : {Mode{MethodKind::full, ModelKind::sage, ResidualKind::add},
                           Mode{MethodKind::iglu, ModelKind::gcn, ResidualKind::none},
                           Mode{MethodKind::sgc, ModelKind::gcn, ResidualKind::none}}) {
    TrainOptions options = options_for(mode, dir.path());
    const Result memory = train(store, options);
    CHECK(memory.counters.bytes_written == 0);
    check_everywhere(store, options, memory);
  }
}

TEST_CASE("the plan has the passes over the full graph, and the run takes them as planned") {
  TempDir dir;
  (void)make_tiny_store(dir.path() / "store", tiny(false, 9000));
  const Store store(dir.path() / "store");
  for (const MethodKind method : {MethodKind::full, MethodKind::iglu}) {
    TrainOptions options = options_for(method, ModelKind::gcn, dir.path());
    options.host_memory = 2 * least_budget(store, options);
    Engine<float> engine(store, options);
    Session<float>& session = engine.session;
    const auto learner = make_method<float>(session);
    const DiskRates disk;
    Calibration<float> calibration(session, &disk);
    const SchedulePlan plan = plan_schedule<float>(
        session, *learner, [&] { evaluate_logits(session, *learner); }, calibration);
    std::map<bool, std::size_t> passes;  // of the full graph, or not
    for (const PlannedPass& pass : plan.epoch) ++passes[pass.name.ends_with(" (full graph)")];
    CHECK(passes[true] >= 5);  // three layers forward, two products
    CHECK(passes[false] >= 5);
    for (const PlannedPass& pass : plan.preparation) CHECK_FALSE(pass.name.ends_with(" (full graph)"));
    session.schedule.start_preparation();
    learner->prepare();
    for (std::uint32_t epoch = 1; epoch <= 2; ++epoch) {
      session.schedule.start_epoch(epoch);
      (void)learner->train_epoch(epoch, nullptr, {});
      evaluate_logits(session, *learner);
    }
    const std::size_t before = plan.preparation.size();
    for (std::size_t p = 0; p < plan.epoch.size(); ++p) {
      CHECK_MESSAGE(session.schedule.measured()[before + p].runs == 2, plan.epoch[p].name);
    }
  }
}

TEST_CASE("going on from parameters, moments and steps gives the bits of an inductive run that was not stopped") {
  TempDir dir;
  (void)make_tiny_store(dir.path() / "store", tiny(true));
  const Store store(dir.path() / "store");
  for (const Mode& mode : {Mode{MethodKind::full, ModelKind::gcn, ResidualKind::none},
                           Mode{MethodKind::iglu, ModelKind::sage, ResidualKind::none}}) {
    const TrainOptions options = options_for(mode, dir.path());
    Engine<float> stopped(store, options), resumed(store, options), whole(store, options);
    const auto run = [](Engine<float>& engine, Method<float>& method, std::uint32_t first, std::uint32_t last) {
      method.prepare();
      for (std::uint32_t epoch = first; epoch <= last; ++epoch) {
        (void)method.train_epoch(epoch, nullptr, {});
        evaluate_logits(engine.session, method);
      }
    };
    const auto a = make_method<float>(stopped.session), b = make_method<float>(resumed.session),
               c = make_method<float>(whole.session);
    run(whole, *c, 1, 4);
    run(stopped, *a, 1, 2);
    const Parameters<float>& from = stopped.session.parameters;
    Parameters<float>& to = resumed.session.parameters;
    std::ranges::copy(from.values(), to.values().begin());
    std::ranges::copy(from.first_moments(), to.first_moments().begin());
    std::ranges::copy(from.second_moments(), to.second_moments().begin());
    to.steps() = stopped.session.parameters.steps();
    b->set_global_step(a->global_step());
    CHECK(a->global_step() > 0);
    run(resumed, *b, 3, 4);
    CHECK(std::ranges::equal(to.values(), whole.session.parameters.values()));
    CHECK(b->global_step() == c->global_step());
  }
}

TEST_CASE("what the two graphs leave in the store has different names") {
  TempDir dir;
  (void)make_tiny_store(dir.path() / "store", tiny(true));
  const Store store(dir.path() / "store");
  TrainOptions options = options_for(MethodKind::sgc, ModelKind::gcn, dir.path());
  options.model.layers = 2;
  { const Engine<float> engine(store, options); }
  for (const char* key : {"aggregate-sym-fp32", "aggregate-sym-fp32-power2", "aggregate-train-sym-fp32",
                          "aggregate-train-sym-fp32-power2"}) {
    CHECK_MESSAGE(has_derived(store, key), key);
  }
  const std::vector<NodeId> train{1, 2};
  const LabelledNodes labelled{train, {}, {}};
  CHECK(active_sets_key({true}, labelled) != active_sets_key({true}, labelled, EdgeSet::train));
}

TEST_CASE("a store without a training graph, a model without a graph and --inductive off train as ever") {
  TempDir dir;
  TinyStoreOptions o;
  (void)make_tiny_store(dir.path() / "plain", o);
  o.inductive = true;
  (void)make_tiny_store(dir.path() / "store", o);
  const Store plain(dir.path() / "plain"), store(dir.path() / "store");
  TrainOptions options = options_for(MethodKind::full, ModelKind::gcn, dir.path());
  CHECK_FALSE(Engine<float>(plain, options).session.inductive);
  CHECK(Engine<float>(store, options).session.inductive);
  options.inductive = false;
  CHECK(train(store, options) == train(plain, options));
  options = options_for(MethodKind::full, ModelKind::mlp, dir.path());
  CHECK_FALSE(Engine<float>(store, options).session.inductive);
}

TEST_CASE("an inductive run on three threads at the least budget, short") {
  TempDir dir;
  (void)make_tiny_store(dir.path() / "store", tiny(true));
  const Store store(dir.path() / "store");
  TrainOptions options = options_for(MethodKind::iglu, ModelKind::sage, dir.path());
  const Result memory = train(store, options);
  options.threads = 3;
  options.host_memory = least_budget(store, options);
  CHECK(train(store, options) == memory);
}

}  // namespace
}  // namespace strata::test
