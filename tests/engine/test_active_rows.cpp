// Rows of a layer are its active set: what is left out, what evaluation adds, and how often it does change no bit.
#include <doctest/doctest.h>

#include <algorithm>

#include "engine/batches.hpp"
#include "kernels/base/rng.hpp"
#include "tests/engine/runs.hpp"

namespace strata::test {
namespace {

// Few labelled nodes in a sparse directed graph: other rows in every layer, for training as for evaluation.
void make_sparse_store(const std::filesystem::path& path, std::uint32_t nodes) {
  TinyStoreOptions o;
  o.nodes = nodes;
  o.edges = nodes;
  o.features = 48;  // as wide as the hidden layers: X^0 is among the rows that residuals add
  o.classes = 5;
  o.undirected = false;
  o.labelled = 0.4;
  o.shard_rows = 2048;
  (void)make_tiny_store(path, o);
}

void check_sparse(const Store& store, const Mode& mode, const std::filesystem::path& directory) {
  const TrainOptions options = options_for(mode, directory);
  const Engine<float> engine(store, options);
  const ActiveSets& sets = engine.session.sets;
  CHECK(sets.layer(sets.layers()).eval_rows() > 0);
  if (mode.method == MethodKind::sgc || mode.model == ModelKind::mlp) return;
  for (std::size_t k = 1; k < sets.layers(); ++k) {
    if (!engine.session.model.layers[k].aggregates()) continue;
    CHECK(sets.layer(k + 1).train_rows() < sets.layer(k).train_rows());
    CHECK(sets.layer(k + 1).all_rows() < sets.layer(k).all_rows());
  }
  CHECK(sets.layer(1).all_rows() < sets.nodes());
}

std::vector<Mode> sparse_modes() {
  std::vector<Mode> modes = kModes;
  modes.push_back({MethodKind::full, ModelKind::gcn, ResidualKind::none});
  modes.push_back({MethodKind::full, ModelKind::sage, ResidualKind::add2});
  modes.push_back({MethodKind::full, ModelKind::mlp, ResidualKind::add});
  modes.push_back({MethodKind::iglu, ModelKind::sage, ResidualKind::add, IgluOrder::inverted, IgluRefresh::once});
  return modes;
}

TEST_CASE("nor where every layer has other rows: budget, threads, reading ahead") {
  TempDir dir;
  make_sparse_store(dir.path() / "store", 9000);
  const Store store(dir.path() / "store");
  for (const Mode& mode : sparse_modes()) {
    CAPTURE(static_cast<int>(mode.method));
    CAPTURE(static_cast<int>(mode.model));
    CAPTURE(static_cast<int>(mode.residual));
    check_sparse(store, mode, dir.path());
    TrainOptions options = options_for(mode, dir.path());
    const Result memory = train(store, options);
    CHECK(memory.counters.bytes_written == 0);
    for (const std::uint32_t threads : {1u, 3u}) {
      options.threads = threads;
      const std::uint64_t least = least_budget(store, options);
      for (const std::uint64_t budget : {least, least + least / 4}) {
        options.host_memory = budget;
        options.prefetch = (budget == least) == (threads == 1);
        const Result result = train(store, options, threads == 3);
        CHECK(result == memory);
        CHECK(result.peak <= budget);
      }
    }
  }
}

void check_rhythms(const Store& store, TrainOptions options) {
  const Result each = train(store, options);
  for (const bool planned : {false, true}) {
    for (const bool tight : {false, true}) {
      for (const std::uint32_t every : {1u, 2u, 0u}) {
        CAPTURE(planned);
        CAPTURE(tight);
        CAPTURE(every);
        options.eval_every = every;
        options.host_memory = tight ? least_budget(store, options) : std::uint64_t{1} << 30;
        CHECK(train(store, options, planned) == each);
      }
    }
  }
}

TEST_CASE("the rhythm of evaluation changes no bit of a weight, in memory or not, planned or not") {
  TempDir dir;
  make_sparse_store(dir.path() / "store", 3000);
  const Store store(dir.path() / "store");
  for (const Mode& mode : sparse_modes()) {
    for (const double dropout : {0.3, 0.0}) {
      CAPTURE(static_cast<int>(mode.method));
      CAPTURE(static_cast<int>(mode.model));
      CAPTURE(static_cast<int>(mode.residual));
      CAPTURE(static_cast<int>(mode.order));
      CAPTURE(static_cast<int>(mode.refresh));
      if (dropout == 0 && mode.method != MethodKind::full) continue;  // their sweeps have none anyway
      TrainOptions options = options_for(mode, dir.path());
      options.model.dropout = options.model.input_dropout = dropout;
      options.batch_size = 1024;
      check_rhythms(store, options);
    }
  }
}

TEST_CASE("an evaluation that was not announced, or announced and then not made, changes no bit either") {
  TempDir dir;
  make_sparse_store(dir.path() / "store", 3000);
  const Store store(dir.path() / "store");
  for (const Mode& mode : sparse_modes()) {
    const TrainOptions options = options_for(mode, dir.path());
    std::vector<std::vector<float>> parameters, logits;
    for (const int how : {0, 1, 2}) {
      Engine<float> engine(store, options);
      auto method = make_method<float>(engine.session);
      method->prepare();
      if (how == 1) (void)method->logits();
      for (std::uint32_t epoch = 1; epoch <= 3; ++epoch) {
        method->expect_evaluation(how == 0);
        (void)method->train_epoch(epoch, nullptr, {});
        if (how == 1) (void)method->logits();
      }
      logits.push_back(rows_of_nodes<float>(method->logits(), nodes_of_splits(engine.session.objective)));
      const auto values = engine.session.parameters.values();
      parameters.emplace_back(values.begin(), values.end());
    }
    CHECK(parameters[0] == parameters[1]);
    CHECK(parameters[0] == parameters[2]);
    CHECK(logits[0] == logits[1]);
    CHECK(logits[0] == logits[2]);
  }
}

TEST_CASE("without nodes to validate or test by there are no rows of evaluation, and every method learns") {
  TempDir dir;
  TinyStoreOptions o;
  o.labelled = 0.5;
  o.all_train = true;
  const TinyGraph graph = make_tiny_store(dir.path() / "store", o);
  REQUIRE((graph.valid.empty() && graph.test.empty()));
  const Store store(dir.path() / "store");
  for (const Mode& mode : sparse_modes()) {
    TrainOptions options = options_for(mode, dir.path());
    const Engine<float> engine(store, options);
    for (std::size_t k = 1; k <= engine.session.sets.layers(); ++k)
      CHECK(engine.session.sets.layer(k).eval_rows() == 0);
    const Result result = train(store, options);
    CHECK(result.logits.size() == graph.train.size() * o.classes);
    CHECK(train(store, options, true) == result);
  }
}

// What an epoch of explicit batches leaves, and the losses of its steps.
struct Stepped {
  std::vector<float> parameters;
  std::vector<double> losses;
  EpochReport report;
};

Stepped step(const Store& store, const TrainOptions& options, const EpochBatches& batches) {
  Engine<float> engine(store, options);
  auto method = make_method<float>(engine.session);
  method->prepare();
  StepObserver<float> observer;
  Stepped result;
  observer.after_step = [&](const StepEvent& event, const Parameters<float>&) { result.losses.push_back(event.loss); };
  result.report = method->train_epoch(1, &batches, observer);
  const auto values = engine.session.parameters.values();
  result.parameters.assign(values.begin(), values.end());
  return result;
}

// Explicit batches of every group: random nodes, and of those the ones that the layer has rows of for training.
std::pair<EpochBatches, EpochBatches> random_batches(const Store& store, const TrainOptions& options) {
  const Engine<float> engine(store, options);
  const Session<float>& session = engine.session;
  CounterRng rng(9, Stream::synthetic);
  EpochBatches any, active;
  for (std::size_t l = 0; l < session.model.layers.size(); ++l) {
    const std::string& group = session.model.group_names[session.model.layers[l].group];
    for (int b = 0; b < 3; ++b) {
      ExplicitBatch all{group, {}}, part{group, {}};
      for (NodeId id = 0; id < session.nodes(); ++id) {
        if (rng.below(3) != 0) continue;
        all.nodes.push_back(id);
        if (session.rows(l).part(RowPart::train).contains(id)) part.nodes.push_back(id);
      }
      CHECK(part.nodes.size() < all.nodes.size());
      any.push_back(all);
      active.push_back(part);
    }
  }
  return {any, active};
}

TEST_CASE("explicit batches may name nodes that a layer has no rows of: they add nothing") {
  TempDir dir;
  make_sparse_store(dir.path() / "store", 3000);
  const Store store(dir.path() / "store");
  for (const Mode& mode : sparse_modes()) {
    if (mode.method == MethodKind::full) continue;  // takes every node
    TrainOptions options = options_for(mode, dir.path());
    options.optimizer.weight_decay = 1e-3;
    options.optimizer.clip = 1;
    const auto [any, active] = random_batches(store, options);
    const Stepped whole = step(store, options, any), part = step(store, options, active);
    CHECK(whole.parameters == part.parameters);
    CHECK(whole.losses == part.losses);
    CHECK(whole.report.node_visits == part.report.node_visits);
    std::uint64_t visits = 0;
    for (const ExplicitBatch& batch : active) visits += batch.nodes.size();
    CHECK(part.report.node_visits == visits);
  }
}

TEST_CASE("a batch without any row is a step without a gradient") {
  TempDir dir;
  make_sparse_store(dir.path() / "store", 3000);
  const Store store(dir.path() / "store");
  for (const Mode& mode : sparse_modes()) {
    if (mode.method == MethodKind::full) continue;
    TrainOptions options = options_for(mode, dir.path());
    options.optimizer.kind = OptimizerKind::sgd;
    options.optimizer.clip = 1;
    EpochBatches batches;
    std::vector<float> before;
    {
      const Engine<float> engine(store, options);
      const Session<float>& session = engine.session;
      for (std::size_t l = 0; l < session.model.layers.size(); ++l) {
        const std::vector<NodeId> outside = nodes_outside(session.rows(l), true);
        REQUIRE_FALSE(outside.empty());
        batches.push_back({session.model.group_names[session.model.layers[l].group], outside});
      }
      const auto values = session.parameters.values();
      before.assign(values.begin(), values.end());
    }
    const Stepped after = step(store, options, batches);
    CHECK(after.parameters == before);
    CHECK(after.losses == std::vector<double>(batches.size(), 0.0));
    CHECK(after.report.node_visits == 0);
    CHECK(after.report.loss == 0);
  }
}

// Inference of any nodes gives the bits that inference of all nodes gives them.
TEST_CASE("what is asked for changes no bit of a prediction") {
  TempDir dir;
  make_sparse_store(dir.path() / "store", 3000);
  const Store store(dir.path() / "store");
  for (const Mode& mode : sparse_modes()) {
    const TrainOptions options = options_for(mode, dir.path());
    Engine<float> engine(store, options);
    Session<float>& session = engine.session;
    const std::vector<NodeId> all = every_node(session.nodes());
    const Inference<float> whole(session, all, true);
    std::vector<NodeId> some;
    CounterRng rng(3, Stream::synthetic);
    for (const NodeId id : all) {
      if (rng.below(50) == 0) some.push_back(id);
    }
    for (const std::vector<NodeId>& wanted : {some, {some.front()}, {all.back()}, all}) {
      const Inference<float> part(session, wanted, true);
      CHECK(rows_of_nodes<float>(part.logits(), wanted) == rows_of_nodes<float>(whole.logits(), wanted));
      CHECK(rows_of_nodes<float>(part.embeddings(), wanted) == rows_of_nodes<float>(whole.embeddings(), wanted));
    }
    const Inference<float> none(session, {}, true);
    CHECK(rows_of_nodes<float>(none.logits(), {}).empty());
  }
}

}  // namespace
}  // namespace strata::test
